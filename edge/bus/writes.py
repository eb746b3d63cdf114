"""A commanded value until it is decided: written, read back, compared; never replayed when stale.

One mechanism for lamps (edge.executor) and for an engineer's write. `Writing` is the command: call
`attempt` until it gives an outcome. `write_point` does that, with pauses, until its time is over.

    result = await write_point(field, DeviceId("lamp-07"), "level", 40.0, clock=clock)
    result.outcome      # Outcome.VERIFIED
    result.readback     # 40.1

Only a point that its profile declares `writable`, with a value inside its write range, reaches the
bus: anything else is REJECTED before a byte is sent.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from edge.errors import (
    CommandExpired,
    NotCommandable,
    ReplyMalformed,
    Retriable,
    UnitBusy,
    UnitRefused,
    UnitSilent,
    UnitUnreachable,
)
from edge.sampling import Number
from protocols.ids import DeviceId
from protocols.profile_model import Point
from protocols.registers import Value
from protocols.time import Clock

WITHIN_S = 15.0
"""How long a command of an engineer is worth carrying out."""
_PAUSE_S = 1.0
_ATTEMPTS = 2  # writes in one attempt before the next one tries again
_REWRITE_AFTER = 3  # read-backs that differ (a lamp fades for some seconds) before writing again
_MISMATCHES = 2 * _REWRITE_AFTER  # a lamp that was written again fades again
_KEPT = "the device keeps another value"


class Outcome(enum.StrEnum):
    """What became of a command."""

    APPLIED = "applied"  # taken by the device, which cannot be read back
    VERIFIED = "verified"  # the device shows the value asked for
    REJECTED = "rejected"  # not allowed, refused by the device, or it keeps another value
    EXPIRED = "expired"  # its time was over before it reached the device
    UNKNOWN = "unknown"  # sent, and no answer tells what came of it


@dataclass(frozen=True, slots=True)
class WriteResult:
    """`outcome` is None while it is not decided: attempt it again after a pause."""

    outcome: Outcome | None
    readback: Number = None
    reason: str | None = None


class Points(Protocol):
    """What a write needs of the field (`edge.bus.field.Field`)."""

    def point(self, device: DeviceId, name: str) -> Point: ...

    async def write(
        self, device: DeviceId, name: str, value: Value, *, expires_s: float | None = None
    ) -> None: ...

    async def read(self, device: DeviceId, name: str) -> Value: ...


class Writing:
    """One value on its way. `write` and `read` raise as `edge.bus.field.Field` does.

    After more than `mismatches` read-backs that differ the device keeps another value; with None
    the caller says how long it may take.
    """

    def __init__(
        self,
        value: float,
        *,
        write: Callable[[], Awaitable[None]],
        read: Callable[[], Awaitable[Value]],
        tolerance: float,
        mismatches: int | None = _MISMATCHES,
    ) -> None:
        self._value = value
        self._write = write
        self._read = read
        self._tolerance = tolerance
        self._written = False
        self._most_mismatches = mismatches
        self._mismatches = 0
        self._may_have_arrived = False

    async def attempt(self) -> WriteResult:
        """Write unless it is written, read back, compare."""
        try:
            if not self._written:
                await self._write_once_or_twice()
                self._written = True
            readback = await self._read()
        except (UnitRefused, NotCommandable) as exc:
            return WriteResult(Outcome.REJECTED, reason=str(exc))
        except CommandExpired as exc:
            outcome = Outcome.UNKNOWN if self._may_have_arrived else Outcome.EXPIRED
            return WriteResult(outcome, reason=str(exc))
        except Retriable as exc:
            self._note(exc)
            return WriteResult(Outcome.UNKNOWN, reason=str(exc))
        return self._compared(None if isinstance(readback, str) else readback)

    async def _write_once_or_twice(self) -> None:
        for remaining in reversed(range(_ATTEMPTS)):
            try:
                await self._write()
                return
            except Retriable as exc:
                self._note(exc)
                if not remaining:
                    raise

    def _note(self, exc: Retriable) -> None:
        """A request without a reply may have been obeyed all the same."""
        sent = isinstance(exc, UnitSilent | ReplyMalformed | UnitBusy)
        self._may_have_arrived |= sent and not isinstance(exc, UnitUnreachable)

    def _compared(self, readback: Number) -> WriteResult:
        if readback is None:
            return WriteResult(Outcome.APPLIED, reason="the device shows no value")
        if abs(readback - self._value) <= self._tolerance:
            return WriteResult(Outcome.VERIFIED, readback)
        self._mismatches += 1
        if self._most_mismatches is not None and self._mismatches > self._most_mismatches:
            return WriteResult(Outcome.REJECTED, readback, _KEPT)
        if self._mismatches == _REWRITE_AFTER:
            self._written = False  # it lost the command: write once more
        return WriteResult(None, readback)


async def write_point(
    field: Points,
    device: DeviceId,
    name: str,
    value: float,
    *,
    clock: Clock,
    tolerance: float | None = None,
    within_s: float = WITHIN_S,
    pause_s: float = _PAUSE_S,
) -> WriteResult:
    """Bring point `name` of `device` to `value`, within `within_s`; the outcome is never None.

    The field's buses must be running. `tolerance` is how far the read-back may lie from `value`,
    in the unit of the point; by default what its registers can resolve.
    """
    try:
        point = field.point(device, name)
    except NotCommandable as exc:
        return WriteResult(Outcome.REJECTED, reason=str(exc))
    expires_s = clock.monotonic_s() + within_s
    writing = Writing(
        value,
        write=lambda: field.write(device, name, value, expires_s=expires_s),
        read=lambda: field.read(device, name),
        tolerance=resolution(point, value) if tolerance is None else tolerance,
        mismatches=None,
    )
    while True:
        result = await writing.attempt()
        left_s = expires_s - clock.monotonic_s()
        if result.outcome not in (None, Outcome.UNKNOWN):
            return result
        if left_s <= pause_s:
            return _given_up(result)
        await asyncio.sleep(pause_s)


def _given_up(result: WriteResult) -> WriteResult:
    """The time is over: a device that still shows another value has rejected the command."""
    if result.outcome is None:
        return WriteResult(Outcome.REJECTED, result.readback, _KEPT)
    return result


def resolution(point: Point, value: float) -> float:
    """How far apart two values may be that the registers of `point` cannot tell apart."""
    if point.curve == "dali":
        return max(1.0, 0.03 * abs(value))  # DALI steps are up to 2.8 % of the value apart
    if point.type.is_float:
        return max(1e-6 * abs(value), 1e-9)  # float32 holds 24 bits
    return float(abs(point.scale)) + 1e-9 * abs(value)
