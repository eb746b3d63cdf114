"""The code generated from protocols/wire.proto says what the schema says (`make check`).

Compared as syntax trees, so that only layout may differ. `--write` generates it anew.
"""

import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCHEMA = "protocols/wire.proto"
GENERATED = ("protocols/wire_pb2.py", "protocols/wire_pb2.pyi")


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="eclor-wire-") as place:
        fresh = Path(place)
        _generate(fresh)
        if arguments == ["--write"]:
            for name in GENERATED:
                shutil.copyfile(fresh / name, ROOT / name)
            return 0
        stale = [name for name in GENERATED if _tree(fresh / name) != _tree(ROOT / name)]
    for name in stale:
        print(f"{name} does not agree with {SCHEMA}: python {sys.argv[0]} --write")
    return 1 if stale else 0


def _generate(directory: Path) -> None:
    """Run protoc as locked in requirements/dev.txt, with the stub generator of this environment."""
    stubs = Path(sys.executable).with_name("protoc-gen-mypy")
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", "-I."),
            *(f"--plugin=protoc-gen-mypy={stubs}", f"--mypy_out=quiet:{directory}"),
            *(f"--python_out={directory}", SCHEMA),
        ],
        cwd=ROOT,
        check=True,
    )


def _tree(file: Path) -> str:
    return ast.dump(ast.parse(file.read_text()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
