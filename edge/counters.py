"""Counters of field devices made into totals that only grow.

A device's counter wraps at 16 or 32 bits, starts again from zero after a reboot, reads 0 for a
moment while the device is busy, or belongs to another meter after a swap. Taken at face value each
of these becomes an energy or a number of cars that never was. The rules here:

1. A step forward that is physically possible counts at once.
2. Anything else, backwards or impossibly far, is held back as a suspicion; the total stands still.
3. The next sample that continues the old count clears the suspicion (`GLITCH`): nothing was added.
4. A second sample that continues the suspicion confirms it; one sample never moves the base, and
   a 0 is no evidence at all, neither for nor against, since a busy device repeats it. The step
   then was
   - a `WRAP` if the way over the top of the register was physically possible: it counts whole;
   - a `RESET` if the device can have counted so far from zero: what it shows counts;
   - a `SWAP` otherwise: what happened between is unknown and nothing is added.

Between the last sample before a reset and the reset itself, counts are lost in the device; no
reader can know them.
"""

import enum
from dataclasses import dataclass
from typing import Any

from protocols.profile_model import Point
from protocols.quantities import KINDS, Kind
from protocols.time import US_PER_S

_SLACK_STEPS = 2
"""Register steps allowed beyond rate * time: reading times and the register are not exact."""

_UNKNOWN_ELAPSED_US = 3_600 * US_PER_S
"""Time granted between two samples when the wall clock was set back in between."""

# A lane passes less than one vehicle a second, a gate about one person: ten of them at once.
_MAX_PASSAGES_PER_S = 10.0


class CounterEvent(enum.StrEnum):
    """What a sample told apart, for the log, the health record and the quality of the row."""

    GLITCH = "glitch"
    WRAP = "wrap"
    RESET = "reset"
    SWAP = "swap"


@dataclass(frozen=True, slots=True)
class CounterRule:
    """What a counter can do, in the unit of its point.

    At most `max_rate` a second; `resolution` is one step of its register; it starts again from 0
    at `modulus` (None: unknown).
    """

    max_rate: float
    modulus: int | None
    resolution: float = 1

    def possible(self, step: int, elapsed_us: int) -> bool:
        """Whether the counter can have moved on by `step` in `elapsed_us`."""
        slack = _SLACK_STEPS * self.resolution
        return 0 <= step <= self.max_rate * max(elapsed_us, 0) / US_PER_S + slack

    def wrapped(self, before: int, after: int, elapsed_us: int) -> bool:
        """Whether `after` can be `before` gone over the top; half a register at most."""
        if self.modulus is None:
            return False
        step = after - before + self.modulus
        return step < self.modulus / 2 and self.possible(step, elapsed_us)


def rule_of(point: Point, kind: Kind) -> CounterRule:
    """The rule of a counter point: energy by the kind's largest power, passages by headway."""
    rate = _MAX_PASSAGES_PER_S
    if kind is not Kind.PASSAGE:
        rate = KINDS[kind].column("power_w").hi / 3_600
    return CounterRule(rate, point.counter_modulus, float(point.scale))


@dataclass(slots=True)
class _Suspicion:
    """The sample that does not fit, and where it stands."""

    raw: int
    t_us: int


class CounterTracker:
    """One counter: feed it raw values in the order of time, read `total`."""

    def __init__(self, rule: CounterRule, state: dict[str, Any] | None = None) -> None:
        self._rule = rule
        self._raw: int | None = None
        self._t_us = 0
        self._base = 0  # total = base + raw
        self._suspicion: _Suspicion | None = None
        if state:
            self._raw, self._t_us, self._base = state["raw"], state["t_us"], state["base"]
            if state["suspect"]:
                self._suspicion = _Suspicion(*state["suspect"])

    @property
    def total(self) -> int | None:
        """Counts up to the last sample that was believed; None before the first."""
        return None if self._raw is None else self._base + self._raw

    @property
    def suspicious(self) -> bool:
        """Whether the last sample was held back."""
        return self._suspicion is not None

    @property
    def seen_us(self) -> int:
        """When the last believed sample was read."""
        return self._t_us

    def state(self) -> dict[str, Any]:
        """Everything needed to go on after a restart, as JSON can hold it."""
        held = self._suspicion
        return {
            "raw": self._raw,
            "t_us": self._t_us,
            "base": self._base,
            "suspect": [held.raw, held.t_us] if held else None,
        }

    def add(self, raw: int, t_us: int) -> CounterEvent | None:
        """Take one sample; the event it settles, if any. A sample not newer is ignored."""
        if self._raw is None:
            self._accept(raw, t_us)
            return None
        if t_us <= self._t_us:
            return None
        if self._rule.possible(raw - self._raw, t_us - self._t_us):
            held, self._suspicion = self._suspicion, None
            self._accept(raw, t_us)
            return CounterEvent.GLITCH if held else None
        return self._suspect(raw, t_us)

    def clock_set_back(self, t_us: int) -> None:
        """Go on although time now is `t_us`, before the last sample."""
        last_us, self._t_us = self._t_us, t_us - _UNKNOWN_ELAPSED_US
        if self._suspicion:
            self._suspicion.t_us = min(self._suspicion.t_us - last_us + self._t_us, t_us - 1)

    def _accept(self, raw: int, t_us: int) -> None:
        self._raw, self._t_us = raw, t_us

    def _suspect(self, raw: int, t_us: int) -> CounterEvent | None:
        held = self._suspicion
        if held and held.raw and self._rule.possible(raw - held.raw, t_us - held.t_us):
            return self._settle(held, raw, t_us)
        if raw or not (held and held.raw):
            self._suspicion = _Suspicion(raw, t_us)
        return None

    def _settle(self, held: _Suspicion, raw: int, t_us: int) -> CounterEvent:
        """The suspicion is confirmed: name the step, and move the base so that it counts right."""
        assert self._raw is not None
        elapsed_us = held.t_us - self._t_us
        if self._rule.wrapped(self._raw, held.raw, elapsed_us):
            event = CounterEvent.WRAP
            self._base += self._rule.modulus or 0
        elif held.raw < self._raw and self._rule.possible(held.raw, elapsed_us):
            event = CounterEvent.RESET
            self._base += self._raw
        else:
            event = CounterEvent.SWAP
            self._base += self._raw - held.raw
        self._suspicion = None
        self._accept(raw, t_us)
        return event
