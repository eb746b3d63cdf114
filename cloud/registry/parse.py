"""A document from JSON: every fault of form and of sense in one list.

Records whose form is at fault are set aside, and the others are checked as if those were there:
a wrong latitude is not reported a second time as an unknown site.
"""

from collections import defaultdict
from collections.abc import Mapping, Set
from typing import Any

import pydantic_core
from pydantic import ValidationError

from cloud.api.faults import Fault
from cloud.api.problems import fault_of
from cloud.registry.check import Formed, Known, check
from cloud.registry.model import SECTIONS, Document, TypeAdapter

_DOCUMENT: TypeAdapter[Document] = TypeAdapter(Document)
_LABELS = {
    "territories": ("id",),
    "sites": ("territory", "id"),
    "gateways": ("id",),
    "devices": ("gateway", "id"),
    "groups": ("territory", "id"),
    "facilities": ("territory", "site", "id"),
}


class DocumentFaults(ValueError):  # noqa: N818 - a list of faults
    """A document that cannot be accepted; `faults` holds everything that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__(f"{len(faults)} fault(s) in the document")
        self.faults = faults


def parse(body: bytes, known: Known, *, territory: str | None = None) -> Document:
    """The document of `body`, checked against the registry; DocumentFaults names every fault.

    `territory` is the only one that may be written (None: all).
    """
    try:
        raw = pydantic_core.from_json(body)
    except ValueError as exc:
        raise DocumentFaults([Fault("", "", None, f"is not JSON: {exc}", "correct it")]) from exc
    formed, faults = _formed(raw)
    faults += check(formed, known, territory=territory)
    if faults:
        raise DocumentFaults(sorted(faults, key=lambda fault: _place(fault.pointer)))
    return formed.document


def _formed(raw: Any) -> tuple[Formed, list[Fault]]:
    """The records whose form is right, and the faults of the others.

    Where not even the records can be told apart, DocumentFaults is raised at once.
    """
    try:
        return Formed(_DOCUMENT.validate_python(raw)), []
    except ValidationError as exc:
        errors = exc.errors(include_url=False)
    faults = [fault_of(error) for error in errors]
    bad: dict[str, set[int]] = defaultdict(set)
    for error in errors:
        match error["loc"]:
            case (str(section), int(position), *_):
                bad[section].add(position)
            case _:
                raise DocumentFaults(faults)
    return _without(raw, bad), faults


def _without(raw: dict[str, list[Any]], bad: Mapping[str, Set[int]]) -> Formed:
    """What is left of a document without the records at fault."""
    places = {
        section: [n for n in range(len(records)) if n not in bad.get(section, ())]
        for section, records in raw.items()
    }
    kept = {section: [raw[section][n] for n in positions] for section, positions in places.items()}
    assumed = {
        section: frozenset(_label(section, raw[section][n]) for n in positions)
        for section, positions in bad.items()
    }
    return Formed(_DOCUMENT.validate_python(kept), places, assumed)


def _label(section: str, record: object) -> str:
    """What a record at fault would be called, as far as it says so."""
    if not isinstance(record, dict):
        return ""
    return "/".join(str(record.get(key)) for key in _LABELS[section])


def _place(pointer: str) -> tuple[int, int, str]:
    """Sorts faults in the order in which a document is read."""
    section, position, key = (*pointer.split("/")[1:4], "", "", "")[:3]
    order = [*SECTIONS, ""].index(section) if section in SECTIONS else -1
    return order, int(position) if position.isdigit() else -1, key
