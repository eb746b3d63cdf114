"""Which profile fits what a unit answers? Pure: values in, a judgement out.

A device that says what it is (the profile's [identify]) is identified. Others are judged by what
their registers hold, read through each profile: a mains voltage of 230.4 V is hard to hit by
chance, and the wrong word order gives 42 million. A 0 is no evidence, for nothing or against.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edge.sampling import polled_points
from protocols.profile_model import Profile
from protocols.quantities import KINDS, Column, Role
from protocols.registers import Value

_ENOUGH = 1.0
"""Points of evidence, without a contradiction, that make a profile likely."""


class Certainty(enum.StrEnum):
    """How sure a guess is."""

    IDENTIFIED = "identified"  # the device says so itself
    LIKELY = "likely"  # its values make sense, and could hardly by chance
    POSSIBLE = "possible"  # it answers all registers, which hold nothing that tells


@dataclass(frozen=True, slots=True)
class Guess:
    """A profile that may be the right one; `says` is what speaks for it."""

    profile: str
    certainty: Certainty
    evidence: float
    says: str


def judged(profile: Profile, values: Mapping[str, Value]) -> Guess | None:
    """The guess that `values` by point name allow, all of a device's; None: not this profile."""
    evidence, witnesses = 0.0, []
    for point in polled_points(profile):
        value = values.get(point.name)
        if value is None or isinstance(value, str) or point.column is None or not value:
            continue
        weight = _weight(KINDS[profile.kind].column(point.column), value)
        if weight is None:
            return None
        evidence += weight
        if weight >= 0.5:
            witnesses.append(f"{point.name} {value:g} {point.unit}")
    certainty = Certainty.LIKELY if evidence >= _ENOUGH else Certainty.POSSIBLE
    return Guess(profile.name, certainty, round(evidence, 2), ", ".join(witnesses[:3]))


def _weight(column: Column, value: float) -> float | None:
    """How much `value`, not 0, speaks for being a `column`; None: it cannot be one."""
    if not column.lo <= value <= column.hi:
        return None
    if column.role in (Role.COUNTER, Role.FLAGS):
        # Half a 32-bit register full: years of counting, or two halves in the wrong order.
        return 0.1 if value < 1e9 else None
    for begins, usual, weight in _USUAL:
        if column.name.startswith(begins):
            return weight if usual(value) else None
    return 0.1


_USUAL: tuple[tuple[str, Callable[[float], bool], float], ...] = (
    ("voltage", lambda volts: 50 <= volts <= 500, 0.5),
    ("frequency", lambda hertz: 45 <= hertz <= 65, 1.0),
    ("power_factor", lambda factor: 0.01 <= abs(factor) <= 1, 0.25),
    ("current", lambda amperes: 0.001 <= amperes <= 6_000, 0.1),
    ("temperature", lambda celsius: -40 <= celsius <= 100, 0.25),
    ("level", lambda percent: 0 < percent <= 100, 0.25),
    ("target", lambda percent: 0 < percent <= 100, 0.25),
)
