"""Readings to batches: which lane, and how many rows fit one message.

Pure. The lane rule: a batch sealed while the uplink has been down for more than a minute is
history, so that after an outage fresh data do not queue behind it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from protocols.batch import Reading, Stream
from protocols.ids import Lane
from protocols.wire import MAX_ROWS, WireError, encode

HISTORY_AFTER_S = 60.0
"""An uplink down for longer than this makes new batches history."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """One encoded batch and what the outbox notes beside it."""

    seq: int
    rows_before: int
    rows: int
    first_t_us: int
    last_t_us: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be encoded, and the codec's word for it."""

    row: Reading
    reason: str


@dataclass(frozen=True, slots=True)
class Loss:
    """Rows that are gone, to be declared: how many, from when to when, and why."""

    rows: int
    first_t_us: int
    last_t_us: int
    reason: str

    def with_row(self, t_us: int) -> "Loss":
        return replace(
            self,
            rows=self.rows + 1,
            first_t_us=min(self.first_t_us, t_us),
            last_t_us=max(self.last_t_us, t_us),
        )


def seal(
    stream: Stream, readings: Sequence[Reading], *, next_seq: int, rows_before: int, created_us: int
) -> tuple[list[Sealed], list[Refused]]:
    """Encode `readings` as the batches `next_seq`, `next_seq` + 1, ... of `stream`.

    What is too large for one message is halved until it fits. A single row that cannot be encoded
    is returned as refused, so that it never stops the rows beside it.
    """
    sealed: list[Sealed] = []
    refused: list[Refused] = []
    todo = deque(_slices(readings))
    while todo:
        rows = todo.popleft()
        try:
            payload = encode(stream, next_seq, rows, created_us=created_us, rows_before=rows_before)
        except ValueError as error:  # WireError, or a value that no field of the message takes
            if len(rows) == 1:
                refused.append(Refused(rows[0], _word(error)))
            else:
                half = len(rows) // 2
                todo.extendleft((rows[half:], rows[:half]))
            continue
        times = [row.t_us for row in rows]
        sealed.append(Sealed(next_seq, rows_before, len(rows), min(times), max(times), payload))
        next_seq += 1
        rows_before += len(rows)
    return sealed, refused


def _word(error: ValueError) -> str:
    return error.reason if isinstance(error, WireError) else "unencodable"


def _slices(readings: Sequence[Reading]) -> Iterable[Sequence[Reading]]:
    for begin in range(0, len(readings), MAX_ROWS):
        yield readings[begin : begin + MAX_ROWS]


class LaneRule:
    """Remembers since when the uplink is down; at the start it is down."""

    def __init__(self, now_s: float, *, history_after_s: float = HISTORY_AFTER_S) -> None:
        self._down_since_s: float | None = now_s
        self._history_after_s = history_after_s

    def uplink_up(self) -> None:
        self._down_since_s = None

    def uplink_down(self, now_s: float) -> None:
        if self._down_since_s is None:
            self._down_since_s = now_s

    def lane(self, now_s: float) -> Lane:
        """Lane of a batch sealed at `now_s` (monotonic seconds)."""
        down = self._down_since_s
        if down is not None and now_s - down > self._history_after_s:
            return Lane.HISTORY
        return Lane.LIVE


class Intake:
    """Rows that wait for the next commit: bounded; when it is full the oldest row is given up.

    It fills only while the outbox cannot be written, so what is given up is declared as one loss
    with the reason that the outbox gave.
    """

    def __init__(self, max_rows: int) -> None:
        self._rows: deque[Reading] = deque()
        self._max_rows = max_rows
        self._loss: Loss | None = None
        self._reason = "intake_full"

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def loss(self) -> Loss | None:
        """What was given up since the last `take`."""
        return self._loss

    def blocked(self, reason: str) -> None:
        """Why the outbox takes nothing at present; names the loss that may follow."""
        self._reason = reason

    def add(self, readings: Iterable[Reading]) -> None:
        for reading in readings:
            if len(self._rows) >= self._max_rows:
                self._give_up(self._rows.popleft())
            self._rows.append(reading)

    def rows(self) -> tuple[Reading, ...]:
        """Everything that waits, oldest first; it stays until `stored` says otherwise."""
        return tuple(self._rows)

    def stored(self) -> None:
        """Everything that waited, and the loss, has been made durable."""
        self._rows.clear()
        self._loss = None
        self._reason = "intake_full"

    def _give_up(self, row: Reading) -> None:
        loss = self._loss or Loss(0, row.t_us, row.t_us, self._reason)
        self._loss = loss.with_row(row.t_us)
