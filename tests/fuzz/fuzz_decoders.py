"""Fuzz the decoders with coverage guidance, by the `atheris` package.

Atheris is not a dependency of the project. In an environment of its own (Python 3.11 to 3.13,
beside Eclor's own dependencies):

    python3 -m venv fuzz && fuzz/bin/pip install atheris -e '.[edge]'
    fuzz/bin/python -m tests.fuzz.fuzz_decoders -runs=10000000 -max_len=600 corpus/

libFuzzer's options apply: `-runs`, `-max_total_time=SECONDS`, `-seed`, `-jobs`; found inputs are
kept in the folder given. An uncaught error ends the run with the traceback and leaves the input in
`crash-...`: make it a case of tests/fuzz/test_decoders.py.
"""

import sys


def main(arguments: list[str]) -> int:
    """Run until libFuzzer ends; it ends the process."""
    try:
        import atheris
    except ModuleNotFoundError:
        print("atheris is not installed: see the head of tests/fuzz/fuzz_decoders.py")  # noqa: T201
        return 2
    with atheris.instrument_imports(include=["protocols", "edge.bus", "firmware_sim"]):
        from tests.fuzz.decoders import one
    atheris.Setup(arguments, lambda data: one(data) and None)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
