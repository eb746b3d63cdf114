"""`python -m cli`: the `eclor` command, for who starts it by the interpreter."""

from cli.main import main

main()
