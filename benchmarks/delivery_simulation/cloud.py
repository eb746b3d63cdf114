"""The cloud as a model of `cloud.ingest`: ledger and rows in one transaction, then the ack.

A number is taken over once per (epoch, lane, seq); a repeat with the same bytes is acknowledged
alike, one with other bytes is a conflict, which a correct edge never causes. A database that is
restored from a backup has the rows and the ledger of then, and asks every stream for what comes
after its watermark.
"""

from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.delivery_simulation.world import Violation, World
from edge.seqset import SeqSet
from protocols.ack import Ack, StreamAck
from protocols.ids import Epoch, GatewayId, Lane
from protocols.time import TimeUs

GATEWAY = GatewayId("cab-model-1")
_POISON = 23  # every so manieth message cannot be decoded

Stream = tuple[Epoch, Lane]


@dataclass(slots=True)
class Database:
    """What is committed."""

    ledger: dict[tuple[Epoch, Lane, int], bytes] = field(default_factory=dict)
    rows: dict[int, int] = field(default_factory=dict)
    """Row to how often it is stored."""
    declared: dict[Epoch, int] = field(default_factory=dict)
    quarantined_rows: set[int] = field(default_factory=set)
    quarantined: dict[Stream, tuple[int, ...]] = field(default_factory=dict)
    declared_quarantined: dict[Epoch, int] = field(default_factory=dict)
    gap_rows: int = 0
    rewind_to: dict[Stream, int] = field(default_factory=dict)

    def copy(self) -> "Database":
        return Database(
            dict(self.ledger),
            dict(self.rows),
            dict(self.declared),
            set(self.quarantined_rows),
            dict(self.quarantined),
            dict(self.declared_quarantined),
            self.gap_rows,
            dict(self.rewind_to),
        )


class Cloud:
    """The database, and workers that hold messages not yet committed."""

    def __init__(self, world: World, *, poison: bool) -> None:
        self.world = world
        self.db = Database()
        self.poison = poison
        self.inbox: list[bytes] = []
        self.restores = 0
        self._backup: Database | None = None
        self._t_us = 0

    def commit(self) -> Ack | None:
        """Take over what the worker holds; the acknowledgement to publish, if anything came."""
        if not self.inbox:
            return None
        for payload in self.inbox:
            self._take(payload)
        self.inbox.clear()
        return self.ack()

    def _take(self, payload: bytes) -> None:
        message = self.world.message(payload)
        db, key = self.db, (message.epoch, message.lane, message.seq)
        known = db.ledger.get(key)
        if known is not None:
            self.repeated(known, payload)
            return
        db.ledger[key] = payload
        stream = (message.epoch, message.lane)
        if self.poison and int(payload) % _POISON == 0:
            db.quarantined_rows.update(message.rows)
            db.quarantined[stream] = (*db.quarantined.get(stream, ()), message.seq)
            held = db.declared_quarantined.get(message.epoch, 0) + sum(message.declared)
            db.declared_quarantined[message.epoch] = held
            db.gap_rows += len(message.declared)
            return
        for row in message.rows:
            db.rows[row] = db.rows.get(row, 0) + 1
        db.declared[message.epoch] = db.declared.get(message.epoch, 0) + sum(message.declared)
        db.gap_rows += len(message.declared)

    def repeated(self, known: bytes, payload: bytes) -> None:
        if known != payload:
            first, second = self.world.message(known), self.world.message(payload)
            raise Violation(f"two contents for one number: {first} and {second}")

    def watermark(self, stream: Stream) -> int:
        seq = 0
        while (*stream, seq + 1) in self.db.ledger:
            seq += 1
        return seq

    def ack(self) -> Ack:
        """The whole truth, as it is committed."""
        self._t_us += 1
        seqs: dict[Stream, list[int]] = defaultdict(list)
        for epoch, lane, seq in self.db.ledger:
            seqs[epoch, lane].append(seq)
        streams = tuple(self._stream_ack(stream, known) for stream, known in seqs.items())
        return Ack(GATEWAY, TimeUs(self._t_us), streams[-8:])

    def _stream_ack(self, stream: Stream, seqs: list[int]) -> StreamAck:
        have = SeqSet()
        for seq in sorted(seqs):
            have.extend(seq, seq)
        ranges = have.ranges()
        watermark = ranges[0][1] if ranges[0][0] == 1 else 0
        above = ranges[1:] if watermark else ranges
        rewind_to = self.db.rewind_to.get(stream)
        return StreamAck(
            *stream,
            watermark,
            ranges=above,
            quarantined=self.db.quarantined.get(stream, ()),
            rewind_to=rewind_to if rewind_to is not None and watermark < rewind_to else None,
        )

    def back_up(self) -> None:
        self._backup = self.db.copy()

    def restore(self) -> bool:
        """The database is as it was at the last backup, and asks for what it lacks."""
        if self._backup is None:
            return False
        self.db = self._backup.copy()
        self.inbox.clear()
        self.restores += 1
        for stream in {(epoch, lane) for epoch, lane, _ in self.db.ledger}:
            self.db.rewind_to[stream] = self.watermark(stream) + 1
        return True
