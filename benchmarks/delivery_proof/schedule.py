"""What is done to whom and when: a list made from a seed before anything runs.

Pure. The same seed and size give the same list; what the operating system makes of it (which byte
a kill meets) is not repeatable, the choices are.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

KILL_EVERY_S = 1.45
"""Mean time between two kills: 60 of them take 90 s."""
_WEIGHTS = {"edge": 40, "ingest": 25, "broker": 20, "database": 15}

Party = Literal["edge", "ingest", "broker", "database"]
Fault = Literal["cut", "refuse", "stall", "delay", "truncate"]


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to number `index` of `party`, which stays down for `down_s`."""

    at_s: float
    party: Party
    index: int
    down_s: float


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """Proxy number `proxy` does `fault` for `length_s`; `amount`: bytes, or ms of delay."""

    at_s: float
    proxy: int
    fault: Fault
    length_s: float
    amount: int


@dataclass(frozen=True, slots=True)
class DiskFull:
    """The disk of the last gateway has no room for `length_s`."""

    at_s: float
    length_s: float


Blow = Kill | NetworkFault | DiskFull


def schedule(kills: int, seed: int, *, edges: int, workers: int, proxies: int) -> tuple[Blow, ...]:
    """`kills` kills, about as many network faults, a full disk now and then; in order of time."""
    chance = random.Random(f"blows {seed}")
    blows: list[Blow] = [*_kills(chance, kills, edges, workers)]
    length_s = blows[-1].at_s if blows else 0.0
    blows += _network(chance, length_s, proxies)
    blows += _disk(chance, length_s)
    return tuple(sorted(blows, key=lambda blow: blow.at_s))


def _kills(chance: random.Random, count: int, edges: int, workers: int) -> Sequence[Kill]:
    sizes: dict[Party, int] = {"edge": edges, "ingest": workers, "broker": 1, "database": 1}
    parties: list[Party] = list(sizes)
    # Each party at least once, however few the kills; then by weight.
    order = parties + chance.choices(parties, [_WEIGHTS[p] for p in parties], k=count)
    order = order[:count]
    chance.shuffle(order)
    kills, at_s = [], 1.0
    for party in order:
        at_s += KILL_EVERY_S * chance.uniform(0.3, 1.7)
        index = chance.randrange(sizes[party])
        kills.append(Kill(at_s, party, index, chance.uniform(0.0, 1.2)))
    return kills


def _network(chance: random.Random, until_s: float, proxies: int) -> list[NetworkFault]:
    faults: list[NetworkFault] = []
    kinds: list[Fault] = ["cut", "refuse", "stall", "delay", "truncate"]
    at_s = 1.0
    while (at_s := at_s + chance.uniform(0.5, 2.5)) < until_s:
        kind = chance.choice(kinds)
        amount = chance.randrange(1, 3_000) if kind == "truncate" else chance.randrange(20, 300)
        faults.append(
            NetworkFault(at_s, chance.randrange(proxies), kind, chance.uniform(0.5, 4.0), amount)
        )
    return faults


def _disk(chance: random.Random, until_s: float) -> list[DiskFull]:
    full: list[DiskFull] = []
    at_s = 0.0
    while (at_s := at_s + chance.uniform(8.0, 25.0)) < until_s:
        full.append(DiskFull(at_s, chance.uniform(2.0, 5.0)))
    return full
