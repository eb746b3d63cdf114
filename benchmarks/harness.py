"""Finds and runs measurements, and says on what machine, when and from which commit.

A measurement is a module of `benchmarks.bench` or `benchmarks.evaluations` (see `Measurement`).
Its file name, with '-' for '_', is its name on the command line: a new file is a new command.
"""

import importlib
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal, Protocol, cast

Group = Literal["bench", "eval"]

ROOT = Path(__file__).parents[1]
STORED = ROOT / "docs" / "figures"
_PACKAGE: Mapping[Group, str] = {"bench": "benchmarks.bench", "eval": "benchmarks.evaluations"}
_GIT_TIMEOUT_S = 10


class Measurement(Protocol):
    """What a module of `benchmarks.bench` or `benchmarks.evaluations` offers.

    The first line of its docstring says what it measures. `PACKAGES` are the distributions whose
    versions bear on the result. `measure` returns the figures; a key ends in its unit where it
    has one. It raises MeasurementError when the thing measured gave a wrong result: a fast wrong
    answer has no figure.
    """

    __doc__: str
    PACKAGES: tuple[str, ...]

    def measure(self) -> Mapping[str, float]: ...


class MeasurementError(Exception):
    """The thing measured does not do what it should; its speed is of no interest."""


class UnknownMeasurementError(LookupError):
    """No measurement of that name; the message lists the names there are."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where the figures come from."""

    machine: str
    date: str
    versions: Mapping[str, str]
    commit: str


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one run."""

    group: Group
    name: str
    context: Context
    figures: Mapping[str, float]

    def as_dict(self) -> dict[str, object]:
        """The form that is printed and stored."""
        return {"name": self.name, "context": asdict(self.context), "figures": dict(self.figures)}


def catalogue(group: Group) -> dict[str, str]:
    """Names of the measurements of a group, each with one line on what it measures."""
    package = importlib.import_module(_PACKAGE[group])
    names = sorted(module.name for module in iter_modules(package.__path__))
    return {name.replace("_", "-"): _summary(_load(group, name)) for name in names}


def run(group: Group, name: str) -> Report:
    """Run measurement `name` now; UnknownMeasurementError or MeasurementError."""
    known = catalogue(group)
    if name not in known:
        offer = ", ".join(known) or "none yet"
        raise UnknownMeasurementError(f"no {group} is called {name!r}; there are: {offer}")
    module = _load(group, name.replace("-", "_"))
    figures = {key: _rounded(value) for key, value in module.measure().items()}
    return Report(group, name, context(module.PACKAGES), figures)


def context(packages: tuple[str, ...]) -> Context:
    """This machine, this moment, these versions, this commit."""
    versions = {"python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in ("eclor", *packages)}
    return Context(
        machine=f"{_processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions,
        commit=_commit(),
    )


def _load(group: Group, module: str) -> Measurement:
    return cast(Measurement, importlib.import_module(f"{_PACKAGE[group]}.{module}"))


def _summary(module: Measurement) -> str:
    return module.__doc__.strip().splitlines()[0]


def _rounded(value: float) -> float:
    """Five significant digits: more would be noise."""
    return value if isinstance(value, int) else float(f"{value:.5g}")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _commit() -> str:
    """Short hash of the checkout, marked `+changes` where tracked files differ from it."""
    commit = _git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return f"{commit}+changes" if _git("status", "--porcelain", "--untracked-files=no") else commit


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
