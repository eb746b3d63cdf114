"""Registry files of people: TOML and CSV, to and from the JSON form of a document.

TOML has the sections of the document ([[territories]], [[sites]], ... [[facilities]]). CSV has one
record a line; the column `record` says what it is (site, device...), the other columns are keys,
`a.b` a key of a table, and a cell that is a list or a table is written as JSON. Empty cells are
keys not given.

In both, a device with `indexes = "0-39"` and an id like "lamp-{index:02d}" stands for 40 devices;
in a group, `indexes` does the same for the names in `devices`.
"""

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloud.api.faults import Fault
from cloud.registry import toml
from cloud.registry.model import SECTIONS, WORDS

MAX_EXPANDED = 10_000
_RANGE = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?")
_PLACE = re.compile(r"\{index(?::0?(\d)d)?\}")
_PLURALS = {word: section for section, word in WORDS.items()}
# fmt: off
_TEXTS = frozenset((
    "id", "name", "title", "territory", "site", "gateway", "profile", "bus", "kind",
    "time_zone", "host", "type", "protocol", "username", "password_credential", "state_dir",
    "baseline_name", "counter", "holidays", "tail", "entry", "exit",
    "service",
))
# fmt: on
"""Keys that are texts even where they look like a number."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document read from a file, and where its records stood there."""

    document: dict[str, list[dict[str, Any]]]
    places: Mapping[str, Sequence[str]]
    """Section to the place of each of its records: "line 7", "[[devices]] 3, line 40"."""
    faults: Sequence[Fault] = field(default=())
    """What could not be understood at all; pointers are places already."""

    def place(self, pointer: str) -> str:
        """Where in the file a pointer of the server's answer leads to."""
        section, position = (*pointer.split("/")[1:3], "", "")[:2]
        places = self.places.get(section, ())
        known = position.isdigit() and int(position) < len(places)
        return places[int(position)] if known else pointer


class Unreadable(ValueError):  # noqa: N818 - says what is the matter
    """The file is not TOML or CSV at all; the message says where."""


def read(text: str, *, suffix: str) -> Source:
    """The document of a file's text; `suffix` is .toml or .csv."""
    records = _csv_records(text) if suffix == ".csv" else _toml_records(text)
    document: dict[str, list[dict[str, Any]]] = {}
    places: dict[str, list[str]] = {}
    faults: list[Fault] = []
    for section, place, record in records:
        try:
            expanded = list(_expanded(section, record))
        except _Bad as bad:
            faults.append(Fault(place, *bad.args))
            continue
        document.setdefault(section, []).extend(expanded)
        places.setdefault(section, []).extend([place] * len(expanded))
    return Source(document, places, faults)


def write_toml(document: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The TOML text of a document in the server's form."""
    parts = [
        toml.table(section, record, array=True)
        for section in SECTIONS
        for record in document.get(section, ())
    ]
    return "\n".join(parts)


def write_csv(document: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The CSV text of a document in the server's form."""
    rows = [
        {"record": WORDS[section], **{key: _cell(value) for key, value in record.items()}}
        for section in SECTIONS
        for record in document.get(section, ())
    ]
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["record"]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


class _Bad(Exception):  # noqa: N818 - carries key, value, fault and remedy of a Fault
    pass


def _toml_records(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise Unreadable(f"is not TOML: {exc}") from exc
    for section, records in data.items():
        if not isinstance(records, list):
            raise Unreadable(f"[{section}] must be a list of tables: write [[{section}]]")
        head = re.compile(rf"^\s*\[\[\s*{re.escape(section)}\s*\]\]")
        lines = [n for n, line in enumerate(text.splitlines(), 1) if head.match(line)]
        for n, record in enumerate(records):
            line = f", line {lines[n]}" if len(lines) == len(records) else ""
            yield section, f"[[{section}]] {n + 1}{line}", record


def _csv_records(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    head = text.split("\n", 1)[0]
    reader = csv.DictReader(
        io.StringIO(text.removeprefix("\ufeff"), newline=""),
        delimiter=";" if head.count(";") > head.count(",") else ",",
        strict=True,
    )
    if "record" not in (reader.fieldnames or ()):
        words = ", ".join(WORDS.values())
        raise Unreadable(f"needs a column 'record' that says what a line is: {words}")
    try:
        for row in reader:
            yield _csv_record(row, f"line {reader.line_num}")
    except csv.Error as exc:
        raise Unreadable(f"line {reader.line_num} is not CSV: {exc}") from exc


def _csv_record(row: dict[str | Any, Any], place: str) -> tuple[str, str, dict[str, Any]]:
    record: dict[str, Any] = {}
    word = (row.pop("record") or "").strip()
    surplus = row.pop(None, None)
    if surplus:
        record["(more cells than columns)"] = surplus
    for column, cell in row.items():
        if cell is None or not cell.strip():
            continue
        table = record
        *outer, key = column.strip().split(".")
        for name in outer:
            table = table.setdefault(name, {})
        table[key] = _value(key, cell.strip())
    return _PLURALS.get(word, word or "(no record)"), place, record


def _value(key: str, cell: str) -> Any:
    """A cell as JSON if it is, else as text; a decimal comma is understood."""
    if key in _TEXTS:
        return cell
    if re.fullmatch(r"-?\d+,\d+", cell):
        cell = cell.replace(",", ".")
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _expanded(section: str, record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The records that one with `indexes` stands for."""
    if "indexes" not in record or section not in ("devices", "groups"):
        yield record
        return
    record = dict(record)
    indexes = _indexes(record.pop("indexes"))
    if section == "devices":
        for index in indexes:
            yield record | {"id": _named(record.get("id"), index), "index": index}
        return
    names: list[str] = []
    for name in record.get("devices", ()):
        templated = isinstance(name, str) and _PLACE.search(name)
        names += [_named(name, index) for index in indexes] if templated else [name]
    yield record | {"devices": names}


def _indexes(text: object) -> list[int]:
    """`"0-3,8"` is 0, 1, 2, 3, 8."""
    found: list[int] = []
    for part in str(text).replace(" ", "").split(","):
        match = _RANGE.fullmatch(part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise _Bad("indexes", text, "is no list of ranges", 'write it as "0-39" or "0-3,8"')
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
        if len(found) > MAX_EXPANDED:
            raise _Bad("indexes", text, "is too long", f"at most {MAX_EXPANDED} of them")
    return found


def _named(template: object, index: int) -> str:
    if not isinstance(template, str) or not _PLACE.search(template):
        remedy = 'add "{index}" or "{index:02d}" to it'
        raise _Bad("id", template, "names every index alike", remedy)
    return _PLACE.sub(lambda place: str(index).zfill(int(place[1] or 0)), template)
