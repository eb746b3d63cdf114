"""Makes docs/figures.md from the stored outputs in docs/figures/: `python -m benchmarks.page`.

What others do under the same conditions stands in peers.toml, with its sources, and is shown below
the figures of the measurement it belongs to.

With `--check` nothing is written, and the exit code is 1 where the page is not up to date.
"""

import json
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import Bar, bars_of
from benchmarks.harness import ROOT, STORED, Report

PEERS = Path(__file__).with_name("peers.toml")
PAGE = ROOT / "docs" / "figures.md"
_HEAD = """\
# Figures

Every figure here is the output of a command that anyone can run from a checkout. Each was measured
on the machine named beside it; the bars are in `benchmarks/bars.toml`, and `--assert` holds a run
to them.

This page is made by `make docs` from `docs/figures/`; `eclor bench NAME --save` stores a new run.
"""


def store(report: Report, folder: Path = STORED) -> Path:
    """Keep the report as the published run of its name and variant."""
    folder.mkdir(parents=True, exist_ok=True)
    variant = f".{report.variant}" if report.variant else ""
    file = folder / f"{report.group}-{report.name}{variant}.json"
    file.write_text(json.dumps(report.as_dict(), indent=2) + "\n", encoding="utf-8")
    return file


def page(folder: Path = STORED) -> str:
    """The whole page, from the stored runs in the order of their names."""
    return "\n".join([_HEAD, *(_section(file) for file in sorted(folder.glob("*.json")))])


def peers(group: str, name: str, *, file: Path = PEERS) -> Sequence[str]:
    """The lines on the others, if peers.toml has any for this measurement."""
    entry = tomllib.loads(file.read_text(encoding="utf-8")).get(group, {}).get(name)
    if entry is None:
        return []
    columns, rows = entry["columns"], entry["rows"]
    if columns[-1] != "source" or any(len(row) != len(columns) or not row[-1] for row in rows):
        raise ValueError(f"{file.name}: {group}.{name}: each row needs every column, source last")
    head = [_cells(columns), "|---" * len(columns) + "|"]
    return ["", entry["intro"], "", *head, *map(_cells, rows)]


def _cells(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def _section(file: Path) -> str:
    run = json.loads(file.read_text(encoding="utf-8"))
    group, _, rest = file.stem.partition("-")
    name, _, variant = rest.partition(".")
    bars = bars_of(group, name)
    rows = [_row(key, value, bars.get(key)) for key, value in run["figures"].items()]
    return "\n".join(
        [
            " ".join(["##", group, name, *filter(None, [variant])]),
            "",
            f"`{_command(group, name, run.get('options', {}))}`",
            "",
            "| figure | value | bar |",
            "|---|---|---|",
            *rows,
            "",
            _origin(run["context"]),
            *([] if variant else peers(group, name)),
            "",
        ]
    )


def _command(group: str, name: str, options: Mapping[str, Any]) -> str:
    given = [
        f"--{option}" if value is True else f"--{option} {value}"
        for option, value in options.items()
    ]
    return " ".join(["eclor", group, name, *given, "--json"])


def _row(key: str, value: float, bar: Bar | None) -> str:
    if bar is None:
        return f"| `{key}` | {value:g} | |"
    missed = "" if bar.holds(value) else ", **missed**"
    return f"| `{key}` | {value:g} | {bar}{missed} |"


def _origin(context: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in context["versions"].items())
    return f"{context['date']}, commit {context['commit']}, on {context['machine']}; {versions}."


def main(arguments: list[str]) -> int:
    """Write the page, or compare it with `--check`; the exit code."""
    wanted = page()
    if "--check" not in arguments:
        PAGE.write_text(wanted, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write("docs/figures.md is not up to date: run `make docs` and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
