"""The daily account of a gateway, without taking its word for the sum.

    produced = stored + repeated + quarantined + pending + dropped        (rows, a civil day)

A day is the day on which the gateway made a batch durable, in the time zone of its territory. What
it produced follows from the numbering alone: sequence numbers have no gap, and each batch says how
many rows came before it. So a hole in the numbers is `pending`, and its size in rows is known; it
stands on the day of the batch after it. Rows that are missing between two neighbours were taken out
of the first by the gateway (`emptied`), which must have declared so many in its `gap` records. What
it did not declare is `lost`.

Declarations cover the emptied rows of the oldest day first. Rows that never got a number
(`refused`: the store could not take them) are known by declaration only, on the day of that.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Counted:
    """What the database says of one day, before declarations are held against it; rows."""

    day: date
    batches: int
    seen: int
    stored: int
    repeated: int
    quarantined: int
    pending: int
    emptied: int
    refused: int
    contradicted: int


@dataclass(frozen=True, slots=True)
class Day:
    """One line of the account; rows.

    `repeated` were in the tables before, under the same device and time. `contradicted` were
    counted twice by the gateway's own numbering.
    """

    day: date
    batches: int
    produced: int
    stored: int
    repeated: int
    quarantined: int
    pending: int
    dropped: int
    lost: int
    contradicted: int

    @property
    def balanced(self) -> bool:
        return not self.lost and not self.contradicted


@dataclass(frozen=True, slots=True)
class Tables:
    """Rows that the reading tables hold, against what the ledger says was put there.

    Rows of batches that reach back beyond `since` or the raw floor may or may not be among them:
    hence two bounds, which are equal where no batch does.
    """

    found: int
    at_least: int
    at_most: int

    @property
    def agree(self) -> bool:
        return self.at_least <= self.found <= self.at_most


@dataclass(frozen=True, slots=True)
class Account:
    """Everything that `eclor verify` looks at for one gateway."""

    gateway: str
    time_zone: str
    days: tuple[Day, ...]
    tables: Tables
    conflicts: int
    """Deliveries that bring a number again with other content."""
    losses_of_unknown_size: int
    """Declared losses of a store that could not be read any more."""

    @property
    def balanced(self) -> bool:
        return not self.findings()

    def findings(self) -> tuple[str, ...]:
        """What does not add up, a sentence each; none is what everybody hopes for."""
        lines = [line for day in self.days for line in _findings_of(day)]
        if not self.tables.agree:
            lines.append(
                f"the reading tables hold {self.tables.found} rows, the ledger says "
                f"{_between(self.tables.at_least, self.tables.at_most)}"
            )
        if self.conflicts:
            lines.append(
                f"{self.conflicts} deliveries bring a number again with other content: two stores "
                "share an epoch; they are in the quarantine (hash_conflict)"
            )
        return tuple(lines)


def balance(counted: Iterable[Counted], *, declared: int) -> tuple[Day, ...]:
    """Hold the declared drops against what is missing from the batches, oldest day first."""
    days, left = [], declared
    for row in counted:
        covered = min(row.emptied, left)
        left -= covered
        days.append(
            Day(
                day=row.day,
                batches=row.batches,
                produced=row.seen + row.pending + row.emptied + row.refused,
                stored=row.stored,
                repeated=row.repeated,
                quarantined=row.quarantined,
                pending=row.pending,
                dropped=covered + row.refused,
                lost=row.emptied - covered,
                contradicted=row.contradicted,
            )
        )
    return tuple(days)


def _findings_of(day: Day) -> Iterable[str]:
    if day.lost:
        yield f"{day.day}: {day.lost} rows are gone and were not declared"
    if day.contradicted:
        yield f"{day.day}: the gateway's numbering counts {day.contradicted} rows twice"


def _between(lo: int, hi: int) -> str:
    return str(lo) if lo == hi else f"{lo} to {hi}"
