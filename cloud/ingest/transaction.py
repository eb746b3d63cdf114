"""The one transaction: names, ledger, rows, newest rows, dirty marks, streams, quarantine.

Tables are touched in the same order by every worker, and rows in the order of their keys, so that
two workers with the same batches wait for each other and do not deadlock. What follows the rows
is sent without waiting for each answer; the first error among them is raised at the end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import psycopg

from cloud.ingest import ledger, names, quarantine, store
from cloud.ingest.columns import Batch
from cloud.ingest.delivery import Envelope, Fault, Outcome, Status
from cloud.ingest.ledger import Entry, Key
from cloud.settings import Ingest
from cloud.storage.copy import Rows


@dataclass(frozen=True, slots=True)
class Work:
    """A delivery that has to be written down: its batch, or why it cannot be stored.

    `gateway_id` is None where no known gateway vouches for it; `sender` is the known gateway it
    stands under in the quarantine, or empty.
    """

    index: int
    envelope: Envelope
    gateway_id: int | None
    sender: str
    content: Batch | Fault

    @property
    def key(self) -> Key | None:
        """Key in the ledger; None for what does not use up a sequence number."""
        faulted = isinstance(self.content, Fault) and not self.content.entered
        if faulted or self.gateway_id is None or self.envelope.head is None:
            return None
        return ledger.key_of(self.gateway_id, self.envelope.head)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a work comes to: rows for the tables, a fault, or nothing to do (a repeat)."""

    work: Work
    content: tuple[Rows, ...] | Fault | None

    @property
    def rows(self) -> tuple[Rows, ...]:
        return self.content if isinstance(self.content, tuple) else ()


def write(
    conn: psycopg.Connection,
    works: Sequence[Work],
    *,
    now_us: int,
    limits: Ingest,
    missing_only: bool,
) -> dict[int, Outcome]:
    """Write everything; outcomes by index of the work, valid once the transaction is committed.

    `missing_only` adds only rows that the unique index lacks (slower); without it a row that is
    there already raises UniqueViolation.
    """
    verdicts = _named(conn, works, limits)
    entered = ledger.enter(conn, [_entry(verdict) for verdict in verdicts if verdict.work.key])
    verdicts = _without_races(conn, verdicts, entered)
    stored = [verdict for verdict in verdicts if isinstance(verdict.content, tuple)]
    batches = [(verdict.work.gateway_id or 0, verdict.rows) for verdict in stored]
    tables = store.by_kind(rows for _, rows in batches)
    counts = _add(conn, stored, tables.values(), missing_only=missing_only)
    with conn.pipeline():
        for rows in tables.values():
            store.update_latest(conn, rows)
        store.mark_dirty(conn, batches)
        ledger.receive(conn, entered, now_us)
    kept = {
        verdict.work.index: _quarantine(conn, verdict.work, verdict.content, limits)
        for verdict in verdicts
        if isinstance(verdict.content, Fault)
    }
    return {
        verdict.work.index: _outcome(verdict, counts, kept_whole=kept.get(verdict.work.index, True))
        for verdict in verdicts
    }


def conflict(key: Key) -> Fault:
    """The ledger has this sequence number with other bytes: two stores share an epoch."""
    detail = f"seq {key[3]} was delivered before with other content"
    return Fault("hash_conflict", detail, entered=False)


def _named(conn: psycopg.Connection, works: Sequence[Work], limits: Ingest) -> list[Verdict]:
    """Ids for names, physical values for scaled ones."""
    batches = [
        (work.gateway_id, work.content)
        for work in works
        if work.gateway_id is not None and isinstance(work.content, Batch)
    ]
    rows = iter(names.resolve(conn, batches, limits) if batches else [])
    return [
        Verdict(work, work.content if isinstance(work.content, Fault) else next(rows))
        for work in works
    ]


def _entry(verdict: Verdict) -> Entry:
    work, rows = verdict.work, [rows for rows in verdict.rows if len(rows)]
    assert work.gateway_id is not None
    assert work.envelope.head is not None
    return Entry(
        gateway_id=work.gateway_id,
        head=work.envelope.head,
        sha256=work.envelope.sha256,
        stored=isinstance(verdict.content, tuple),
        received_us=work.envelope.delivery.received_us,
        t_min_us=min((int(part.t_us.min()) for part in rows), default=None),
        t_max_us=max((int(part.t_us.max()) for part in rows), default=None),
    )


def _without_races(
    conn: psycopg.Connection, verdicts: list[Verdict], entered: set[Key]
) -> list[Verdict]:
    """Another worker entered some of the batches since they were looked up: those are repeats."""
    lost = {v.work.key for v in verdicts if v.work.key is not None} - entered
    hashes = ledger.known(conn, sorted(lost))
    return [
        replace(verdict, content=_raced(verdict, hashes[key]))
        if (key := verdict.work.key) in hashes and key is not None
        else verdict
        for verdict in verdicts
    ]


def _raced(verdict: Verdict, sha256: bytes) -> Fault | None:
    key = verdict.work.key
    assert key is not None
    return None if sha256 == verdict.work.envelope.sha256 else conflict(key)


def _add(
    conn: psycopg.Connection,
    verdicts: Sequence[Verdict],
    tables: Iterable[Rows],
    *,
    missing_only: bool,
) -> dict[int, int]:
    """Rows added by index of the work, as far as it is less than the batch holds."""
    if not (missing_only and verdicts):
        for rows in tables:
            store.add(conn, rows)
        return {}
    (verdict,) = verdicts
    assert verdict.work.key is not None
    added = sum(sum(store.add_missing(conn, rows).values()) for rows in tables)
    ledger.correct_stored_rows(conn, verdict.work.key, added)
    return {verdict.work.index: added}


def _quarantine(conn: psycopg.Connection, work: Work, fault: Fault, limits: Ingest) -> bool:
    return quarantine.keep(conn, work.sender, work.envelope, fault, limit=limits.quarantine_rows)


def _outcome(verdict: Verdict, counts: dict[int, int], *, kept_whole: bool) -> Outcome:
    head = verdict.work.envelope.head
    match verdict.content:
        case None:
            return Outcome(Status.DUPLICATE, head)
        case Fault() as fault:
            return Outcome(
                Status.QUARANTINED, head, fault.reason, fault.detail, kept_whole=kept_whole
            )
        case rows:
            count = sum(len(part) for part in rows)
            stored_rows = counts.get(verdict.work.index, count)
            return Outcome(Status.STORED, head, rows=count, stored_rows=stored_rows)
