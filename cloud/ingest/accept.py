"""Take deliveries over: the one way by which readings get into the database.

    open envelopes -> look up gateways and ledger -> open bodies, check times -> make partitions
    -> ONE transaction (`cloud.ingest.transaction`) -> after COMMIT: acknowledgements

Invariants (each has a test):
- rows of a batch and its ledger entry are committed together or not at all;
- a repeat, in any order and by any number of workers, adds no row and is acknowledged alike;
- a batch that the tables refuse is quarantined and never stops the others;
- a gateway is told nothing that is not committed; what is not acknowledged stays its own.

If the common transaction fails on the rows of some batch, the batches are tried again in halves;
the one at fault ends up in a transaction of its own, which adds only the rows that the unique index
lacks. The same where together they are more than the server gives one transaction (time, locks,
memory); one alone that is too much for it twice is quarantined, so that it does not come again and
again before the batches of others. Waiting for a lock that somebody holds is no fault of a batch:
then all of them are left to the gateways.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import psycopg
from psycopg.errors import (
    ConfigurationLimitExceeded,
    DataError,
    DeadlockDetected,
    IntegrityError,
    OutOfMemory,
    ProgramLimitExceeded,
    QueryCanceled,
    SerializationFailure,
    UndefinedColumn,
    UndefinedFunction,
    UndefinedTable,
)
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL as STATEMENT

from cloud.errors import DatabaseUnavailable, MigrationError
from cloud.events import Event, Events
from cloud.ingest import ledger, transaction
from cloud.ingest.columns import Batch
from cloud.ingest.delivery import (
    Bounds,
    Delivery,
    Envelope,
    Fault,
    Outcome,
    Status,
    open_body,
    open_envelope,
)
from cloud.ingest.ledger import SQL, Key
from cloud.ingest.transaction import Work
from cloud.settings import Ingest
from cloud.storage import editions
from cloud.storage.editions import DAY_US
from cloud.storage.pool import explained
from protocols.quantities import Kind
from protocols.time import US_PER_S, from_datetime, to_datetime

_ATTEMPTS = 4  # deadlocks and serialisation failures; the fourth in a row is no accident
_LOCK_WAIT_MS = 5_000  # well below the time of a statement: then its end says who was at fault
_LOCK_WAIT = STATEMENT("set local lock_timeout = {}")
_TOO_MUCH = (QueryCanceled, ProgramLimitExceeded, ConfigurationLimitExceeded, OutOfMemory)


def accept(
    conn: psycopg.Connection,
    deliveries: Sequence[Delivery],
    *,
    limits: Ingest | None = None,
    events: Events | None = None,
    progress: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Store or quarantine every delivery; returns after COMMIT, one outcome a delivery, in order.

    `conn` is idle and in autocommit. `progress` is called before each attempt to write: going on in
    halves may last longer than a watchdog's period. DatabaseUnavailable: nothing of this call may
    be acknowledged; some of it may be stored, which a repeat will find out.
    """
    if not conn.autocommit or conn.info.transaction_status is not TransactionStatus.IDLE:
        raise ValueError("accept commits by itself: give it an idle connection in autocommit")
    if not deliveries:
        return []
    try:
        outcomes = _Acceptance(conn, deliveries, limits or Ingest(), progress).run()
    except (UndefinedTable, UndefinedColumn, UndefinedFunction) as exc:
        detail = str(exc).splitlines()[0]
        raise MigrationError(f"the database lacks {detail}; run eclor cloud migrate") from exc
    except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
        raise DatabaseUnavailable(f"the database gave up: {explained(exc)}") from exc
    _report(events or Events("ingest"), outcomes)
    return outcomes


class _Acceptance:
    """One call of `accept`, step by step; outcomes are kept by position of the delivery."""

    def __init__(
        self,
        conn: psycopg.Connection,
        deliveries: Sequence[Delivery],
        limits: Ingest,
        progress: Callable[[], None],
    ) -> None:
        self._conn = conn
        self._limits = limits
        self._progress = progress
        self._envelopes = [open_envelope(delivery) for delivery in deliveries]
        self._now_us = max(delivery.received_us for delivery in deliveries)
        self._gateways: Mapping[str, int] = {}
        self._outcomes: dict[int, Outcome] = {}

    def run(self) -> list[Outcome]:
        self._look_up_gateways()
        works = self._sort_out()
        self._make_partitions(works)
        self._write_all(works)
        return self._with_acks()

    def _look_up_gateways(self) -> None:
        names = {e.head.stream.gateway for e in self._envelopes if e.head is not None}
        names |= {e.sender for e in self._envelopes if e.sender is not None}
        self._gateways = dict(self._conn.execute(SQL["gateways"], (sorted(names),)).fetchall())

    def _sort_out(self) -> list[Work]:
        """Answer repeats at once, open the bodies of the rest."""
        keys = [self._key(envelope) for envelope in self._envelopes]
        seen = ledger.known(self._conn, sorted({key for key in keys if key is not None}))
        works = []
        for i, (envelope, key) in enumerate(zip(self._envelopes, keys, strict=True)):
            content = _content(envelope, key, seen, lambda: self._bounds)
            if content is None:
                self._outcomes[i] = Outcome(Status.DUPLICATE, envelope.head)
                continue
            sender = envelope.sender if envelope.sender in self._gateways else None
            work = Work(i, envelope, None if key is None else key[0], sender or "", content)
            works.append(work)
            if work.key is not None:
                seen[work.key] = envelope.sha256
        return works

    def _key(self, envelope: Envelope) -> Key | None:
        """Key in the ledger, where a known gateway vouches for the delivery."""
        head = envelope.head
        if head is None or head.stream.gateway not in self._gateways:
            return None
        if envelope.fault is not None and not envelope.fault.trusted:
            return None
        return ledger.key_of(self._gateways[head.stream.gateway], head)

    @cached_property
    def _bounds(self) -> Bounds:
        """What times are accepted now; not asked for where everything is a repeat."""
        oldest = to_datetime(self._now_us - self._limits.oldest_days * DAY_US)
        floors = self._conn.execute(SQL["floors"], (oldest,))
        return Bounds(
            floor_us={Kind(kind): from_datetime(floor) for kind, floor in floors},
            latest_us=self._now_us + self._limits.future_s * US_PER_S,
        )

    def _make_partitions(self, works: Iterable[Work]) -> None:
        """Every day that the rows touch; in transactions of their own, see `ensure_partitions`."""
        blocks = [b for w in works if isinstance(w.content, Batch) for b in w.content.blocks]
        days = {
            (block.kind, day * DAY_US)
            for block in blocks
            if len(block)
            for day in range(int(block.t_us.min()) // DAY_US, int(block.t_us.max()) // DAY_US + 1)
        }
        if days:
            editions.ensure_partitions_of(self._conn, days)

    def _write_all(self, works: Sequence[Work]) -> None:
        """All in one transaction; where that fails on what they hold, in halves.

        One poison batch among n costs the others about 2 log2(n) short transactions, not n.
        """
        try:
            self._write(works, missing_only=False)
        except (IntegrityError, DataError):
            if len(works) == 1:
                self._write_alone(works[0])
            else:
                self._write_halves(works)
        except _TOO_MUCH:
            if len(works) == 1:
                self._write_last_time(works[0])
            else:
                self._write_halves(works)

    def _write_halves(self, works: Sequence[Work]) -> None:
        middle = len(works) // 2
        self._write_all(works[:middle])
        self._write_all(works[middle:])

    def _write(
        self, works: Sequence[Work], *, missing_only: bool, lock_wait_ms: int | None = None
    ) -> None:
        """Write in one transaction, again after a deadlock; outcomes count from COMMIT on."""
        if not works:
            return
        for attempt in range(1, _ATTEMPTS + 1):
            self._progress()
            try:
                with self._conn.transaction():
                    if lock_wait_ms is not None:
                        self._conn.execute(_LOCK_WAIT.format(lock_wait_ms))
                    outcomes = transaction.write(
                        self._conn,
                        works,
                        now_us=self._now_us,
                        limits=self._limits,
                        missing_only=missing_only,
                    )
            except (DeadlockDetected, SerializationFailure):
                if attempt == _ATTEMPTS:
                    raise
            else:
                self._outcomes |= outcomes
                return

    def _write_last_time(self, work: Work) -> None:
        """One delivery that was too much for the server: once more, then it goes to quarantine."""
        try:
            self._write_alone(work, lock_wait_ms=_LOCK_WAIT_MS)
        except _TOO_MUCH as exc:
            if isinstance(work.content, Fault):
                raise
            fault = Fault("too_much_for_database", str(exc).splitlines()[0])
            self._write([replace(work, content=fault)], missing_only=False)

    def _write_alone(self, work: Work, *, lock_wait_ms: int | None = None) -> None:
        """One delivery in its own transaction; what the tables refuse goes to quarantine."""
        try:
            self._write([work], missing_only=True, lock_wait_ms=lock_wait_ms)
        except (IntegrityError, DataError) as exc:
            fault = Fault("refused_by_database", str(exc).splitlines()[0])
            self._write([replace(work, content=fault)], missing_only=False)

    def _with_acks(self) -> list[Outcome]:
        """Give each outcome the acknowledgement of its gateway, where that one is trusted."""
        keys = [self._key(envelope) for envelope in self._envelopes]
        gateway_ids = {key[0] for key in keys if key is not None}
        acks = ledger.acks(self._conn, gateway_ids, self._now_us)
        return [
            replace(self._outcomes[i], ack=acks.get(envelope.head.stream.gateway))
            if key is not None and envelope.head is not None
            else self._outcomes[i]
            for i, (envelope, key) in enumerate(zip(self._envelopes, keys, strict=True))
        ]


def _content(
    envelope: Envelope, key: Key | None, seen: Mapping[Key, bytes], bounds: Callable[[], Bounds]
) -> Batch | Fault | None:
    """The batch of a delivery, or its fault; None for a repeat."""
    if envelope.fault is not None and not envelope.fault.trusted:
        return envelope.fault
    if key is None:
        assert envelope.head is not None
        detail = f"gateway {envelope.head.stream.gateway} is unknown; add it to the registry"
        return Fault("unknown_gateway", detail, trusted=False, entered=False)
    if key in seen:
        return None if seen[key] == envelope.sha256 else transaction.conflict(key)
    return envelope.fault or open_body(envelope, bounds())


def _report(events: Events, outcomes: Sequence[Outcome]) -> None:
    """One line for what a person should see, one for all that went well."""
    stored = [outcome for outcome in outcomes if outcome.status is Status.STORED]
    events.record(
        Event.BATCHES_STORED,
        batches=len(stored),
        rows=sum(outcome.stored_rows for outcome in stored),
        duplicates=sum(outcome.status is Status.DUPLICATE for outcome in outcomes),
    )
    for outcome in outcomes:
        gateway = outcome.head.stream.gateway if outcome.head else ""
        seq = outcome.head.seq if outcome.head else 0
        if outcome.reason == "hash_conflict":
            events.record(
                Event.BATCH_CONFLICTED, gateway_id=gateway, seq=seq, detail=outcome.detail
            )
        elif outcome.status is Status.QUARANTINED:
            events.record(
                Event.BATCH_QUARANTINED,
                gateway_id=gateway,
                seq=seq,
                reason=outcome.reason,
                detail=outcome.detail,
            )
        if not outcome.kept_whole:
            events.record(Event.QUARANTINE_OVERFLOWED, gateway_id=gateway, reason=outcome.reason)
        if outcome.stored_rows < outcome.rows:
            events.record(
                Event.BATCH_DEDUPLICATED,
                gateway_id=gateway,
                seq=seq,
                rows=outcome.rows,
                stored_rows=outcome.stored_rows,
            )
