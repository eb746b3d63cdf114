"""What the loops and barriers of a recycling centre count of its visits.

| detector | stands           | loses | doubles, of trailers |
|----------|------------------|-------|----------------------|
| tail     | end of the queue | 3 %   | 30 %                 |
| entry    | before the bays  | 1 %   | 15 %                 |
| exit     | behind the bays  | 3 %   | 20 %                 |

A second axle counts 1.8 s after the first. A trailer is never both lost and doubled.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

from firmware_sim.visits import Outcome, Visit
from protocols.time import US_PER_S

_GHOST_US = round(0.03 * 60 * US_PER_S)
SERIES = ("tail", "entry", "exit")


@dataclass(frozen=True, slots=True)
class _Errors:
    lost: float
    doubled: float  # share of the trailers


_ERRORS = {"tail": _Errors(0.03, 0.30), "entry": _Errors(0.01, 0.15), "exit": _Errors(0.03, 0.20)}


def counted(visits: Iterable[Visit], rng: Random) -> dict[str, list[int]]:
    """Times of the counts by detector, and the true ones as `true_<detector>`."""
    events: dict[str, list[int]] = {name: [] for name in SERIES}
    events |= {f"true_{name}": [] for name in SERIES}
    for visit in visits:
        for name, t_us in _crossings(visit):
            events[f"true_{name}"].append(t_us)
            events[name].extend(_counts(t_us, _ERRORS[name], visit.trailer, rng))
    return events


def _crossings(visit: Visit) -> list[tuple[str, int]]:
    """Where the car passes, and when."""
    if visit.outcome is Outcome.BALKED:
        return []
    passed = [("tail", visit.joined_us)]
    if visit.bay_us is not None and visit.left_us is not None:
        passed += [("entry", visit.bay_us), ("exit", visit.left_us)]
    return passed


def _counts(t_us: int, errors: _Errors, trailer: bool, rng: Random) -> list[int]:  # noqa: FBT001
    draw = rng.random()
    if draw < errors.lost:
        return []
    return [t_us, t_us + _GHOST_US] if trailer and draw >= 1 - errors.doubled else [t_us]
