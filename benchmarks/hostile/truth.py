"""Registers that say what they are: unit, function, address and the moment at which they were read.

Every point is a uint64 of four registers: unit and function code (8 bits each), address of the
point, and the generation in 32 bits. The generation is the number of requests that the whole field
had received, so a value from another register, unit or time is told from the right one, and words
that were moved or cut cannot pass for a point.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware_sim.errors import ExceptionCode, RequestRefusedError
from protocols.profile import Function, Point, Profile, RegisterType
from protocols.quantities import Kind

WORDS = 4
# Three blocks of one length in two tables, and a longer one: a reply to the question for one of
# them has the very form of the reply to another.
_STARTS = {Function.HOLDING: (0, 100, 200), Function.INPUT: (0, 100)}
_LONG_START, _LONG_POINTS = 300, 5


@dataclass(slots=True)
class Generation:
    """How many requests the field has received."""

    number: int = 0


@dataclass(slots=True)
class TruthBank:
    """A `pdu.Bank` of such registers; the tables are whole, from 0 to 65535."""

    unit: int
    generation: Generation

    def read(self, function: Function, address: int, count: int) -> list[int]:
        if function.is_bits:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS, "this device has no bits")
        now = self.generation.number
        words = []
        for place in range(address, address + count):
            base = place - place % WORDS
            whole = (self.unit << 8 | function.read_code, base, now >> 16 & 0xFFFF, now & 0xFFFF)
            words.append(whole[place - base])
        return words

    def write(self, function: Function, address: int, values: Sequence[int]) -> None:
        raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS, "this device is read-only")


@dataclass(slots=True)
class Checker:
    """Holds every number that was marked good against what it says of itself."""

    profile: Profile
    values: int = 0
    wrong: list[str] = field(default_factory=list)
    _points: dict[str, Point] = field(default_factory=dict)

    def check(self, unit: int, name: str, value: float | None, *, after: int, until: int) -> None:
        """`value` of point `name` must be of `unit` and of a generation in (after, until]."""
        point = self._points.get(name) or self.profile.point(name)
        self._points[name] = point
        self.values += 1
        given = int(value) if value is not None else -1
        right = unit << 8 | point.function.read_code, point.address
        told = given >> 48, given >> 32 & 0xFFFF
        if told != right or not after < given & 0xFFFFFFFF <= until:
            self.wrong.append(
                f"unit {unit}, {name}: {given:#018x}, of a generation in {after + 1}..{until}"
            )


def truth_profile() -> Profile:
    """The map of such a device."""
    points = [_point(function, start) for function, starts in _STARTS.items() for start in starts]
    points += [
        _point(Function.HOLDING, _LONG_START + WORDS * place) for place in range(_LONG_POINTS)
    ]
    return Profile(
        name="hostile",
        title="Registers that say what they are",
        kind=Kind.SAMPLE,
        points=tuple(points),
        max_block=125,
        max_gap=0,
        even_only=False,
        index_count=1,
        status="eclor",
        source="benchmarks/hostile/truth.py",
    )


def _point(function: Function, address: int) -> Point:
    return Point(
        f"{function}_{address}", address, function, RegisterType.UINT64, words=WORDS, unit="1"
    )
