"""A commanded value ends as one of five outcomes, and never as a claim that nobody checked."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pytest

from edge.bus.writes import Outcome, write_point
from edge.errors import (
    CommandExpired,
    EdgeError,
    LinkDown,
    NotCommandable,
    ReplyMalformed,
    UnitRefused,
    UnitSilent,
    UnitUnreachable,
)
from protocols.ids import DeviceId
from protocols.profile import Point, builtin
from protocols.registers import Value
from protocols.time import TimeUs

LAMP = DeviceId("lamp-07")


@dataclass
class Ticking:
    """A clock that goes on a second whenever it is looked at."""

    now_s: float = 0.0

    def monotonic_s(self) -> float:
        self.now_s += 1.0
        return self.now_s

    def now_us(self) -> TimeUs:
        return TimeUs(round(self.now_s * 1e6))


@dataclass
class Device:
    """Points that answer with what the test says, in turn; the last answer is repeated."""

    reads: Iterator[Value | EdgeError]
    writes: Iterator[EdgeError | None]
    written: list[Value] = field(default_factory=list)
    last_read: Value | EdgeError = None
    last_write: EdgeError | None = None

    def point(self, device: DeviceId, name: str) -> Point:
        try:
            return builtin("eclor-luminaire").point(name)
        except KeyError as exc:
            raise NotCommandable(device, str(exc)) from exc

    async def write(
        self, device: DeviceId, name: str, value: Value, *, expires_s: float | None = None
    ) -> None:
        self.written.append(value)
        self.last_write = next(self.writes, self.last_write)
        if self.last_write is not None:
            raise self.last_write

    async def read(self, device: DeviceId, name: str) -> Value:
        self.last_read = next(self.reads, self.last_read)
        if isinstance(self.last_read, EdgeError):
            raise self.last_read
        return self.last_read


def device(
    reads: Iterable[Value | EdgeError] = (), writes: Iterable[EdgeError | None] = (None,)
) -> Device:
    return Device(iter(reads), iter(writes))


SILENT = UnitSilent(2, 1.0)
LINK = LinkDown("line1", "not connected")


@pytest.mark.parametrize(
    ("made", "outcome", "writes"),
    [
        (lambda: device([40.1]), Outcome.VERIFIED, 1),
        (lambda: device([0.0, 12.0, 40.0]), Outcome.VERIFIED, 1),
        (lambda: device([0.0, 0.0, 0.0, 40.0]), Outcome.VERIFIED, 2),
        (lambda: device([*map(float, range(0, 40, 5)), 40.0]), Outcome.VERIFIED, 2),
        (lambda: device([0.0]), Outcome.REJECTED, 2),
        (lambda: device([None]), Outcome.APPLIED, 1),
        (lambda: device([40.0], [SILENT, None]), Outcome.VERIFIED, 2),
        (lambda: device([SILENT, 40.0]), Outcome.VERIFIED, 1),
        (lambda: device(writes=[UnitRefused(2, 3)]), Outcome.REJECTED, 1),
        (lambda: device(writes=[CommandExpired(2)]), Outcome.EXPIRED, 1),
        (lambda: device(writes=[LINK, LINK, CommandExpired(2)]), Outcome.EXPIRED, 3),
        (lambda: device(writes=[UnitUnreachable(2, 11), CommandExpired(2)]), Outcome.EXPIRED, 2),
        (lambda: device(writes=[SILENT, CommandExpired(2)]), Outcome.UNKNOWN, None),
        (lambda: device(writes=[ReplyMalformed(2, "x"), CommandExpired(2)]), Outcome.UNKNOWN, None),
        (lambda: device([SILENT]), Outcome.UNKNOWN, 1),
    ],
)
async def test_the_outcome_is_what_the_device_shows(
    made: Callable[[], Device], outcome: Outcome, writes: int | None
) -> None:
    scripted = made()
    result = await write_point(scripted, LAMP, "level", 40.0, clock=Ticking(), pause_s=0)
    assert result.outcome is outcome
    assert writes is None or len(scripted.written) == writes
    assert (result.reason is None) == (outcome is Outcome.VERIFIED)


async def test_a_point_that_is_not_there_is_rejected_before_anything_is_sent() -> None:
    scripted = device()
    result = await write_point(scripted, LAMP, "colour", 1, clock=Ticking(), pause_s=0)
    assert result.outcome is Outcome.REJECTED
    assert "no point 'colour'" in str(result.reason)
    assert scripted.written == []


async def test_the_tolerance_is_the_callers_to_choose() -> None:
    strict = await write_point(
        device([40.4]), LAMP, "level", 40.0, clock=Ticking(), tolerance=0.1, pause_s=0
    )
    assert strict.outcome is Outcome.REJECTED
    assert strict.readback == 40.4
