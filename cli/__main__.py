"""`python -m cli`: the `eclor` command, for who starts it by the interpreter."""

from cli.main import main

if __name__ == "__main__":  # a process beside a role reads this file anew under another name
    main()
