"""Finds and runs measurements, and says on what machine, when and from which commit.

A measurement is a module of `benchmarks.bench` or `benchmarks.evaluations` (see `Measurement`).
Its file name, with '-' for '_', is its name on the command line: a new file is a new command.
"""

import importlib
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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


class _Required:
    """Marks an option that must be given."""


REQUIRED = _Required()


@dataclass(frozen=True, slots=True)
class Option:
    """An option of one measurement: `--name VALUE`, handed to measure() with '_' for '-'.

    `kind` is str, int, float, Path or bool, a flag without value; without a `default` the option
    must be given.
    """

    name: str
    kind: type[str] | type[int] | type[float] | type[bool] | type[Path]
    help: str
    default: object = REQUIRED

    @property
    def key(self) -> str:
        """The name as a keyword of measure()."""
        return self.name.replace("-", "_")


class Measurement(Protocol):
    """What a module of `benchmarks.bench` or `benchmarks.evaluations` offers.

    The first line of its docstring says what it measures. `PACKAGES` are the distributions whose
    versions bear on the result. `measure` returns the figures; a key ends in its unit where it
    has one. It raises MeasurementError when the thing measured gave a wrong result: a fast wrong
    answer has no figure. A module may have `OPTIONS: tuple[Option, ...]`, the keywords of its
    measure(), and `PARTIAL`, those of them with which only a part is measured.
    """

    __doc__: str
    PACKAGES: tuple[str, ...]

    def measure(self, **options: object) -> Mapping[str, float]: ...


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
    options: Mapping[str, object] = field(default_factory=dict)
    variant: str = ""
    """What was asked for other than by default, such as `kills-1000`; published beside the rest."""
    partial: bool = False
    """Whether it measures a part only: bars of other figures do not concern it."""

    def as_dict(self) -> dict[str, object]:
        """The form that is printed and stored; options only where the measurement has some.

        Of a file only its name is told: where it lay is of no use to a reader.
        """
        told = {
            name: value.name if isinstance(value, Path) else value
            for name, value in self.options.items()
            if value is not False and value not in (None, "")
        }
        start = {"name": self.name} | ({"options": told} if told else {})
        return start | {"context": asdict(self.context), "figures": dict(self.figures)}


def catalogue(group: Group) -> dict[str, str]:
    """Names of the measurements of a group, each with one line on what it measures."""
    package = importlib.import_module(_PACKAGE[group])
    names = sorted(module.name for module in iter_modules(package.__path__))
    return {name.replace("_", "-"): _summary(_load(group, name)) for name in names}


def run(group: Group, name: str, **options: object) -> Report:
    """Run measurement `name` now; UnknownMeasurementError or MeasurementError."""
    module = _known(group, name)
    figures = {key: _rounded(value) for key, value in module.measure(**options).items()}
    given = _by_name(module, options)
    return Report(
        group,
        name,
        context(module.PACKAGES),
        figures,
        given,
        _variant(_options(module), given),
        any(options.get(key) is not None for key in getattr(module, "PARTIAL", ())),
    )


def options_of(group: Group, name: str) -> tuple[Option, ...]:
    """The options of measurement `name`; UnknownMeasurementError."""
    return _options(_known(group, name))


def _known(group: Group, name: str) -> Measurement:
    known = catalogue(group)
    if name not in known:
        offer = ", ".join(known) or "none yet"
        raise UnknownMeasurementError(f"no {group} is called {name!r}; there are: {offer}")
    return _load(group, name.replace("-", "_"))


def _options(module: Measurement) -> tuple[Option, ...]:
    return cast(tuple[Option, ...], getattr(module, "OPTIONS", ()))


def _by_name(module: Measurement, given: Mapping[str, object]) -> dict[str, object]:
    return {option.name: given.get(option.key) for option in _options(module)}


def _variant(options: tuple[Option, ...], given: Mapping[str, object]) -> str:
    """The numbers that were given instead of a default."""
    return "-".join(
        f"{option.name}-{given[option.name]}"
        for option in options
        if option.kind is int
        and option.default is not REQUIRED
        and given[option.name] not in (None, option.default)
    )


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
