"""Losses of the outbox: noted in the transaction that makes them, declared until acknowledged."""

from collections.abc import Sequence
from typing import Any

from edge.batching import Loss
from edge.outbox_db import Database
from protocols.batch import Reading, reading
from protocols.ids import DeviceId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs

AGENT = DeviceId("agent")
"""Device name of the agent's own rows."""
_DECLARED_AT_ONCE = 100


class Losses:
    """Table `gap` and the totals in table `store`; the caller holds the transaction open."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def note(self, lane: Lane, loss: Loss) -> None:
        """Add a loss to the one of its lane and reason that no batch carries yet, or begin one."""
        updated = self._db.execute(
            "UPDATE gap SET rows = rows + ?, first_t_us = min(first_t_us, ?), "
            "last_t_us = max(last_t_us, ?) "
            "WHERE gap_id = (SELECT min(gap_id) FROM gap "
            "WHERE lane = ? AND reason = ? AND carrier_seq IS NULL)",
            *(loss.rows, loss.first_t_us, loss.last_t_us, lane, loss.reason),
        )
        if not updated:
            self._db.execute(
                "INSERT INTO gap (lane, reason, rows, first_t_us, last_t_us) "
                "VALUES (?, ?, ?, ?, ?)",
                *(lane, loss.reason, loss.rows, loss.first_t_us, loss.last_t_us),
            )
        self._db.execute("UPDATE store SET dropped_rows = dropped_rows + ?", loss.rows)

    def note_refused(self, lane: Lane, loss: Loss) -> None:
        """A loss of rows that never had a number: they count as produced all the same."""
        self.note(lane, loss)
        self._db.execute("UPDATE store SET refused_rows = refused_rows + ?", loss.rows)

    def undeclared(self) -> list[tuple[Any, ...]]:
        """What no batch carries: (gap_id, lane, first_t_us, last_t_us, rows, reason) each."""
        return self._db.rows(
            "SELECT gap_id, lane, first_t_us, last_t_us, rows, reason FROM gap "
            "WHERE carrier_seq IS NULL ORDER BY gap_id LIMIT ?",
            _DECLARED_AT_ONCE,
        )

    def carried(self, gaps: Sequence[tuple[Any, ...]], lane: Lane, seq: int) -> None:
        """Batch `seq` of `lane` declares `gaps`."""
        self._db.execute_many(
            "UPDATE gap SET carrier_lane = ?, carrier_seq = ? WHERE gap_id = ?",
            [(lane, seq, gap[0]) for gap in gaps],
        )

    def declared(self, lane: Lane, seqs: Sequence[int]) -> None:
        """These batches are in the database, and so is what they declare."""
        self._db.execute_many(
            "DELETE FROM gap WHERE carrier_lane = ? AND carrier_seq = ?",
            [(lane, seq) for seq in seqs],
        )

    def carrier_lost(self, lane: Lane, seq: int) -> None:
        """This batch will not arrive: what it declared has to be declared again."""
        self._db.execute(
            "UPDATE gap SET carrier_lane = NULL, carrier_seq = NULL "
            "WHERE carrier_lane = ? AND carrier_seq = ?",
            *(lane, seq),
        )


def gap_rows(gaps: Sequence[tuple[Any, ...]], created_us: int) -> list[Reading]:
    """Rows for `Losses.undeclared`, a microsecond apart: (device, t_us) names a row."""
    return [
        reading(
            Kind.GAP,
            AGENT,
            TimeUs(created_us + n),
            lane=Lane(lane).label,
            first_t_us=first_t_us,
            last_t_us=last_t_us,
            rows=rows,
            reason=reason,
        )
        for n, (_, lane, first_t_us, last_t_us, rows, reason) in enumerate(gaps)
    ]
