"""The built wheel works, not only the checkout (`make test`).

First the wheel with the edge's locked dependencies alone, in a clean environment: the command
answers and the agent stays within its budget. Then the tests without services, copied away from the
checkout and run against the wheel's files.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check", "install")
PACKAGES = ("protocols", "edge", "cloud", "firmware_sim", "cli")
# What tests read beside the packages; the packages themselves must come from the wheel.
BESIDE = (".gitignore", "Makefile", "README.md", "config", "docs", "pyproject.toml", "requirements")
WITHOUT_SERVICES = "not database and not broker and not checkout"


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="eclor-wheel-") as place:
        directory = Path(place)
        wheel = _build(directory / "dist")
        _try_alone(wheel, directory / "clean")
        _test(wheel, directory / "suite")
    return 0


def _build(directory: Path) -> Path:
    _python(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory, cwd=ROOT)
    (wheel,) = directory.glob("eclor-*.whl")
    return wheel


def _try_alone(wheel: Path, environment: Path) -> None:
    """`eclor[edge]` from its lock, in an environment that holds nothing else."""
    venv.create(environment, with_pip=True, symlinks=True)
    python = environment / "bin/python"
    lock = ROOT / "requirements/edge.txt"
    _python(python, *PIP, "--require-hashes", "-r", lock, cwd=environment)
    _python(python, *PIP, "--no-deps", wheel, cwd=environment)
    for words in (["--help"], ["edge", "--help"], ["edge", "run", "--help"]):
        _run([environment / "bin/eclor", *words], cwd=environment, quiet=True)
    _python(python, "-I", ROOT / "scripts/check_edge_budget.py", cwd=environment)
    share = environment / "share/eclor/systemd/eclor-edge.service"
    if not share.is_file():
        raise SystemExit(f"the wheel does not install {share.relative_to(environment)}")


def _test(wheel: Path, suite: Path) -> None:
    """The tests on the wheel's files, with the dependencies of the developer's environment."""
    site = suite / "site"
    _python(sys.executable, *PIP, "--no-deps", "--target", site, wheel, cwd=ROOT)
    # Copied, not linked: pytest resolves links and would find the packages of the checkout.
    shutil.copytree(ROOT / "tests", suite / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        (suite / name).symlink_to(ROOT / name)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    shown = subprocess.run(
        [sys.executable, "-P", "-c", f"import {', '.join(PACKAGES)}; print(edge.__file__)"],
        env=environment,
        cwd=suite,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    if not Path(shown).is_relative_to(site):
        raise SystemExit(f"the wheel's tests would run on {shown}")
    words = ["-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", WITHOUT_SERVICES, "tests"]
    _python(sys.executable, *words, cwd=suite, environment=environment)


def _python(
    python: Path | str,
    *words: Path | str,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
) -> None:
    _run([python, *words], cwd=cwd, environment=environment)


def _run(
    command: list[Path | str],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> None:
    """Run COMMAND; its failure ends this script with its status and, if quiet, its output."""
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(f"failed: {' '.join(str(word) for word in command)}\n{done.stdout or ''}")
        raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
