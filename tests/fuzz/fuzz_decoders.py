"""Fuzz the decoders with coverage guidance, by the `atheris` package.

Atheris is not a dependency of the project. In an environment of its own (Python 3.11 to 3.13,
beside Eclor's own dependencies):

    python3 -m venv fuzz && fuzz/bin/pip install atheris -e '.[edge]'
    fuzz/bin/python -m tests.fuzz.fuzz_decoders frames -runs=10000000 -max_len=300 corpus-frames/
    fuzz/bin/python -m tests.fuzz.fuzz_decoders all -runs=1000000 -max_len=600 corpus-all/

libFuzzer's options apply: `-runs`, `-max_total_time=SECONDS`, `-seed`, `-jobs`; found inputs are
kept in the folder given. An uncaught error ends the run with the traceback and leaves the input in
`crash-...`: make it a case of tests/fuzz/test_decoders.py.
"""

import sys


def main(arguments: list[str]) -> int:
    """Fuzz `frames` (of the bus) or `all` until libFuzzer ends; it ends the process."""
    if arguments[1:2] not in (["frames"], ["all"]):
        print("usage: python -m tests.fuzz.fuzz_decoders frames|all [libFuzzer options]")  # noqa: T201
        return 2
    try:
        import atheris
    except ModuleNotFoundError:
        print("atheris is not installed: see the head of tests/fuzz/fuzz_decoders.py")  # noqa: T201
        return 2
    with atheris.instrument_imports(include=["protocols", "edge.bus", "firmware_sim"]):
        from tests.fuzz.decoders import TARGETS, one
        from tests.fuzz.frames import FRAME_TARGETS
    targets = FRAME_TARGETS if arguments[1] == "frames" else TARGETS
    atheris.Setup([arguments[0], *arguments[2:]], lambda data: one(data, targets) and None)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
