"""What commands print: aligned columns for people, JSON for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click


def print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as their widest cell; numbers to the right."""
    texts = [[cell(value) for value in row] for row in rows]
    numeric = [
        bool(texts) and all(_is_number(row[n]) for row in texts) for n in range(len(columns))
    ]
    widths = [max(map(len, column)) for column in zip(columns, *texts, strict=True)]
    for row in [list(columns), *texts]:
        cells = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        )
        click.echo("  ".join(cells).rstrip())


def print_record(record: Mapping[str, Any]) -> None:
    """One key a line, values aligned."""
    width = max(map(len, record))
    for key, value in record.items():
        click.echo(f"{key.ljust(width)}  {cell(value)}")


def cell(value: object) -> str:
    match value:
        case None:
            return "-"
        case str():
            return value
        case list() if all(isinstance(entry, str) for entry in value):
            return ", ".join(value) or "-"
        case bool():
            return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)


def _is_number(text: str) -> bool:
    return text == "-" or text.lstrip("-").replace(".", "", 1).isdigit()
