"""Rows to the outbox, about once a second, whatever the disk does.

The only owner of the open outbox. One cycle: open it if need be, record what is acknowledged, store
what waits in one transaction together with the counters' state. When the outbox cannot be written,
rows wait in memory (bounded, oldest given up and declared) and the agent goes on measuring.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from edge import documents, events
from edge.backoff import Backoff
from edge.batching import Intake, LaneRule
from edge.outbox import Appended, OutboxCorrupt, OutboxFull, OutboxUnavailable, Usage
from edge.sender import Sender
from edge.store import Store
from protocols.batch import Reading
from protocols.ids import Lane
from protocols.time import Clock

MAX_WAITING_ROWS = 20_000
"""Rows in memory while the outbox cannot be written: an hour of 300 devices, about 10 MB."""
COUNTERS = "counters"
CLOCK = "clock"
"""Documents of the outbox: the counters' state, and the wall clock of the last commit (us)."""
_REOPEN_FIRST_S, _REOPEN_MAX_S = 1.0, 30.0


class Committer:
    """See above; `cycle` is called from one task."""

    def __init__(
        self,
        open_outbox: Callable[[bool], Store],
        *,
        clock: Clock,
        sender: Sender,
        lanes: LaneRule,
        counters: Callable[[], Mapping[str, Any]],
        recall: Callable[[Mapping[str, Any]], None] | None = None,
        max_rows: int = MAX_WAITING_ROWS,
        chance: random.Random | None = None,
    ) -> None:
        """`open_outbox(damaged)` opens the store, after setting it aside where it is damaged.

        `recall` is told once, when the store is open and before anything is committed, the
        `counters` of the last commit of an earlier run.
        """
        self._open_outbox = open_outbox
        self._clock = clock
        self._sender = sender
        self._lanes = lanes
        self._counters = counters
        self._recall = recall
        self._intake = Intake(max_rows)
        self._outbox: Store | None = None
        self._damaged = False
        self._complaint = ""
        self._reopen = Backoff(first_s=_REOPEN_FIRST_S, max_s=_REOPEN_MAX_S, rng=chance)
        self._reopen_at_s = 0.0

    @property
    def waiting_rows(self) -> int:
        """Rows that are not durable yet."""
        return len(self._intake)

    def add(self, readings: Iterable[Reading]) -> None:
        """Take rows for the next cycle."""
        self._intake.add(readings)

    def cycle(self) -> bool:
        """Do what is due; True if nothing waits in memory afterwards. Raises nothing."""
        self._guarded(self._commit)
        return not self._intake

    def settle(self) -> None:
        """Record what is acknowledged, between two cycles. Raises nothing."""
        self._guarded(lambda _: True)

    def store_history(self, readings: Sequence[Reading], *, documents: Mapping[str, bytes]) -> bool:
        """Store rows of the past as history at once; False if the outbox is not to be had now."""

        def append(outbox: Store) -> bool:
            done = outbox.append(
                Lane.HISTORY, readings, created_us=self._clock.now_us(), documents=documents
            )
            self._done(done)
            return True

        return self._guarded(append)

    def _guarded(self, work: Callable[[Store], bool]) -> bool:
        """`work` on the outbox, if it is to be had; what is acknowledged is always recorded first.

        Only then is what may be in flight among what the outbox protects, whatever `work` drops.
        """
        try:
            outbox = self._opened()
            if outbox is None:
                return False
            self._record(outbox)
            done = work(outbox)
        except OutboxFull as exc:
            self._intake.blocked(exc.reason)
            if self._complains(exc.reason):
                events.STORE_FULL(reason=exc.reason, waiting_rows=len(self._intake))
        except OutboxUnavailable as exc:
            self._lose_outbox("store_unavailable", str(exc))
        except OutboxCorrupt as exc:
            self._damaged = True
            self._lose_outbox("store_corrupt", str(exc))
        else:
            self._complaint = ""
            return done
        return False

    def _record(self, outbox: Store) -> None:
        """Acknowledged batches wait no more; what a restored database asks for waits again."""
        if settled := self._sender.settled():
            for ack in settled:
                outbox.acknowledge(ack, now_us=self._clock.now_us())
            self._sender.recorded()
        for ack in self._sender.rewinds():
            self._sender.restored(ack, outbox.rewind(ack, now_us=self._clock.now_us()))

    def document(self, name: str) -> bytes | None:
        """The document `name`, empty if there is none; None while the outbox cannot be read."""
        found: list[bytes] = []

        def read(outbox: Store) -> bool:
            found.append(outbox.document(name) or b"")
            return True

        self._guarded(read)
        return found[0] if found else None

    def usage(self) -> Usage | None:
        """None while the outbox cannot be read."""
        try:
            return self._outbox.usage() if self._outbox else None
        except (OutboxUnavailable, OutboxCorrupt):
            return None

    def close(self) -> None:
        if self._outbox is not None:
            self._sender.detach()
            self._outbox.close()
            self._outbox = None

    def _commit(self, outbox: Store) -> bool:
        lane = self._lanes.lane(self._clock.monotonic_s())
        rows, loss = self._intake.rows(), self._intake.loss
        if not rows and loss is None:
            return True
        now_us = self._clock.now_us()
        done = outbox.append(
            lane,
            rows,
            created_us=now_us,
            documents={
                COUNTERS: json.dumps(self._counters()).encode(),
                CLOCK: str(now_us).encode(),
            },
            losses=[loss] if loss else (),
            declare=lane is Lane.LIVE,
        )
        self._intake.stored()
        self._done(done)
        return True

    def _done(self, done: Appended) -> None:
        if done.dropped:
            events.STORE_DROPPED(batches=len(done.dropped))
        if done.thinned_rows:
            events.STORE_THINNED(rows=done.thinned_rows)
        if done.refused:
            events.ROWS_REFUSED(rows=len(done.refused), reason=done.refused[0].reason)
        self._sender.stored(done.batches)

    def _opened(self) -> Store | None:
        """The outbox, opened again if it was lost and its time has come."""
        if self._sender.fault is not None:
            fault, self._sender.fault = self._sender.fault, None
            raise fault
        if self._outbox is None and self._clock.monotonic_s() >= self._reopen_at_s:
            self._outbox = self._open_outbox(self._damaged)
            self._damaged = False
            self._reopen.reset()
            self._sender.attach(self._outbox)
            self._report_opened(self._outbox)
        if self._outbox is not None and self._recall is not None:
            self._recall(documents.mapping(self._outbox.document(COUNTERS)))
            self._recall = None
        return self._outbox

    def _report_opened(self, outbox: Store) -> None:
        if outbox.set_aside is not None:
            events.STORE_SET_ASIDE(path=outbox.set_aside)
        usage = outbox.usage()
        events.STORE_OPENED(path=outbox.path, epoch=outbox.epoch, batches=usage.batches)

    def _lose_outbox(self, reason: str, error: str) -> None:
        self.close()
        self._intake.blocked(reason)
        self._reopen_at_s = self._clock.monotonic_s() + self._reopen.next_s()
        if self._complains(reason):
            events.STORE_UNAVAILABLE(error=error)

    def _complains(self, complaint: str) -> bool:
        """Whether to say so: once when it begins, not once a second."""
        new = complaint != self._complaint
        self._complaint = complaint
        return new
