"""What can go wrong with a device, as data: the catalogue, and one fault with its settings.

A fault is in the frame (what the unit sends, and when), in the values (what its registers show), or
a single event after which the device goes on differently. Docs: docs/firmware-sim.md.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from firmware_sim.errors import ScenarioError

EXCEPTION_CODES = (1, 2, 3, 4, 5, 6, 10, 11)
MAX_SECONDS = 86_400.0
MAX_COUNT = 2**63 - 1


class Where(enum.Enum):
    """What a fault acts on."""

    FRAME = "frame"  # the unit: all its devices share its replies
    VALUES = "values"  # the device, for as long as the fault lasts
    EVENT = "event"  # the device, once


class FaultKind(enum.StrEnum):
    """The names of the faults."""

    SILENT = "silent"
    SLOW = "slow"
    LATE = "late"
    STALE = "stale"
    SHORT_REPLY = "short_reply"
    LONG_REPLY = "long_reply"
    CUT = "cut"
    BYTE_COUNT = "byte_count"
    WRONG_UNIT = "wrong_unit"
    WRONG_FUNCTION = "wrong_function"
    WRONG_TRANSACTION = "wrong_transaction"
    MBAP_LENGTH = "mbap_length"
    BAD_CRC = "bad_crc"
    GARBAGE = "garbage"
    GARBAGE_BEFORE = "garbage_before"
    ECHO = "echo"
    ECHO_BEFORE = "echo_before"
    DOUBLE = "double"
    HANG_UP = "hang_up"
    EXCEPTION = "exception"
    HOLE = "hole"
    DEAF = "deaf"
    REBOOT = "reboot"
    STUCK = "stuck"
    COUNTER_ZERO = "counter_zero"
    COUNTER_RESET = "counter_reset"
    COUNTER_WRAP = "counter_wrap"
    METER_SWAP = "meter_swap"
    CLOCK_JUMP = "clock_jump"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the catalogue; `settings` with their defaults, None where one must be given."""

    where: Where
    text: str
    settings: Mapping[str, float | None] = field(default_factory=dict)
    tcp_only: bool = False
    rtu_only: bool = False


def _frame(text: str, **settings: float | None) -> Entry:
    return Entry(Where.FRAME, text, settings)


CATALOGUE: Mapping[FaultKind, Entry] = MappingProxyType(
    {
        FaultKind.SILENT: _frame("no reply, and nothing is obeyed"),
        FaultKind.SLOW: _frame("the reply comes `seconds` later", seconds=0.2),
        FaultKind.LATE: _frame("the reply comes after the client's time-out", seconds=4.0),
        FaultKind.STALE: _frame("the reply to the request before comes, one behind for ever"),
        FaultKind.SHORT_REPLY: _frame("a read gives less than was asked for, in good form"),
        FaultKind.LONG_REPLY: _frame("a read gives one register too many, in good form"),
        FaultKind.CUT: _frame("the frame ends after half its bytes"),
        FaultKind.BYTE_COUNT: _frame("the byte count of a read is not that of its data"),
        FaultKind.WRONG_UNIT: _frame("another unit's number is in the reply"),
        FaultKind.WRONG_FUNCTION: _frame("another function's code is in the reply"),
        FaultKind.WRONG_TRANSACTION: Entry(
            Where.FRAME, "another transaction's number is in the reply", tcp_only=True
        ),
        FaultKind.MBAP_LENGTH: Entry(
            Where.FRAME, "the length in the header is not that of the frame", tcp_only=True
        ),
        FaultKind.BAD_CRC: Entry(Where.FRAME, "the CRC is wrong", rtu_only=True),
        FaultKind.GARBAGE: _frame("random bytes come instead of the reply"),
        FaultKind.GARBAGE_BEFORE: _frame("random bytes come before the reply"),
        FaultKind.ECHO: _frame("the request comes back instead of the reply"),
        FaultKind.ECHO_BEFORE: _frame("the request comes back before the reply"),
        FaultKind.DOUBLE: _frame("the reply comes twice"),
        FaultKind.HANG_UP: Entry(Where.FRAME, "the connection is closed", tcp_only=True),
        FaultKind.EXCEPTION: _frame("every request gets exception `code`", code=6),
        FaultKind.HOLE: _frame(
            "a request that touches registers `first`..`last` gets exception 2",
            first=None,
            last=None,
        ),
        FaultKind.DEAF: _frame("a write is confirmed and not obeyed"),
        FaultKind.REBOOT: _frame("silent, then lamps are at their power-on level"),
        FaultKind.STUCK: Entry(Where.VALUES, "every value stays what it was"),
        FaultKind.COUNTER_ZERO: Entry(Where.VALUES, "counters read 0, then go on as before"),
        FaultKind.COUNTER_RESET: Entry(Where.EVENT, "counters start again from 0"),
        FaultKind.COUNTER_WRAP: Entry(
            Where.EVENT, "counters stand `count` below the top of their register", {"count": 10}
        ),
        FaultKind.METER_SWAP: Entry(
            Where.EVENT, "another meter: counters go on from `count`", {"count": 123_456}
        ),
        FaultKind.CLOCK_JUMP: Entry(
            Where.EVENT,
            "the device's clock jumps by `seconds`: energy is booked for time that never was "
            "(above 0), or not booked until the clock has caught up (below 0)",
            {"seconds": 3_600.0},
        ),
    }
)
REBOOT_S = 5.0
"""How long a reboot lasts where nothing else is said."""

_LIMITS = {
    "seconds": (-MAX_SECONDS, MAX_SECONDS),
    "first": (0, 65_535),
    "last": (0, 65_535),
    "count": (0, MAX_COUNT),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `share` of the requests have it, the others are answered well."""

    kind: FaultKind
    share: float = 1.0
    seconds: float = 0.0
    code: int = 0
    first: int = 0
    last: int = 0
    count: int = 0

    @property
    def where(self) -> Where:
        return CATALOGUE[self.kind].where

    def settings(self) -> dict[str, float]:
        """The settings that its kind has, with their values."""
        return {name: getattr(self, name) for name in CATALOGUE[self.kind].settings}


def fault(kind: str, share: float = 1.0, **given: float) -> Fault:
    """The fault called `kind`; settings not given are those of the catalogue.

    ScenarioError names the setting, the value and what would do.
    """
    known = _kind(kind)
    settings = CATALOGUE[known].settings
    _check("share", share, 0.0, 1.0)
    if share < 1 and CATALOGUE[known].where is not Where.FRAME:
        raise ScenarioError(f"share = {share}: {known} is not about requests; leave it out")
    for name in given:
        if name not in settings:
            can = ", ".join(settings) or "no settings"
            raise ScenarioError(f"{name} = {given[name]}: fault {known} has {can}; leave it out")
    values = {name: _setting(known, name, given.get(name, default))
              for name, default in settings.items()}  # fmt: skip
    made = Fault(known, share, **values)  # type: ignore[arg-type] # int where the field is int
    if made.last < made.first:
        raise ScenarioError(f"last = {made.last}: give at least first, {made.first}")
    return made


def _kind(name: str) -> FaultKind:
    try:
        return FaultKind(name)
    except ValueError:
        raise ScenarioError(f"fault = {name!r}: use one of {', '.join(FaultKind)}") from None


def _setting(kind: FaultKind, name: str, value: float | None) -> float:
    if value is None:
        raise ScenarioError(f"{name} is missing: fault {kind} needs it")
    if name == "code":
        if value not in EXCEPTION_CODES:
            raise ScenarioError(f"code = {value}: use one of {EXCEPTION_CODES}")
        return int(value)
    lo, hi = _LIMITS[name]
    if kind in (FaultKind.SLOW, FaultKind.LATE):
        lo = 0.0
    _check(name, value, lo, hi)
    return float(value) if name == "seconds" else int(value)


def _check(name: str, value: float, lo: float, hi: float) -> None:
    if not lo <= value <= hi:
        raise ScenarioError(f"{name} = {value}: give a number {lo:g}..{hi:g}")
