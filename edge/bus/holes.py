"""Registers that a device type does not let be read together, learnt from its refusals. Pure.

A planned read may span registers that a device does not have, or more than it sends at once; it
then answers exception 2 or 3. Halving the read finds where: a hole is a range that no read may
span. Holes belong to the profile, so that one refusal serves all devices of the type; that a point
itself is refused is remembered for its unit alone. They live in memory and for a day: finding one
again costs about 2 log2 n requests, and new firmware may have filled it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocols.profile_model import Function, Point
from protocols.registers import ReadBlock

REMEMBER_S = 86_400.0
MAX_HOLES = 256
"""Of one profile; a device that needs more is not the device of the profile."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Registers `start` up to, without, `end`; an empty one is a border that no read may cross."""

    function: Function
    start: int
    end: int

    def parts(self, function: Function, start: int, end: int) -> bool:
        """Whether a read of `start` up to `end` cannot be, because of this hole."""
        if function is not self.function:
            return False
        if self.start == self.end:
            return start < self.start < end
        return start < self.end and end > self.start and (start < self.start or end > self.end)


Member = tuple[Point, int]


@dataclass(frozen=True, slots=True)
class _Cluster:
    """Points that share registers, which no read may part."""

    start: int
    end: int
    members: tuple[Member, ...]


def _clusters(block: ReadBlock) -> list[_Cluster]:
    clusters: list[_Cluster] = []
    for point, index in block.points:
        start = point.address_at(index)
        end = start + point.words
        if clusters and start < clusters[-1].end:
            last = clusters.pop()
            members = (*last.members, (point, index))
            clusters.append(_Cluster(last.start, max(last.end, end), members))
        else:
            clusters.append(_Cluster(start, end, ((point, index),)))
    return clusters


def _block(function: Function, clusters: Sequence[_Cluster]) -> ReadBlock:
    start, end = clusters[0].start, clusters[-1].end
    members = tuple(member for cluster in clusters for member in cluster.members)
    return ReadBlock(function, start, end - start, members)


def split(block: ReadBlock, holes: Iterable[Hole]) -> list[ReadBlock]:
    """The fewest reads that fetch the points of `block` and span none of `holes`."""
    known = [hole for hole in holes if hole.function is block.function]
    if not known:
        return [block]
    parts: list[list[_Cluster]] = []
    for cluster in _clusters(block):
        last = parts[-1] if parts else None
        if last and not any(
            hole.parts(block.function, last[0].start, cluster.end) for hole in known
        ):
            last.append(cluster)
        else:
            parts.append([cluster])
    return [_block(block.function, part) for part in parts]


def halves(block: ReadBlock) -> tuple[ReadBlock, ReadBlock] | None:
    """The two halves of a read; None if its points cannot be parted."""
    clusters = _clusters(block)
    middle = len(clusters) // 2
    if not middle:
        return None
    return _block(block.function, clusters[:middle]), _block(block.function, clusters[middle:])


def between(left: ReadBlock, right: ReadBlock) -> Hole:
    """Where the hole is if both halves can be read, and the whole cannot."""
    return Hole(left.function, left.address + left.count, right.address)


def around(block: ReadBlock) -> Hole:
    """The hole that a refused point is: others are not read together with it."""
    return Hole(block.function, block.address, block.address + block.count)


class HoleMap:
    """The holes of every profile; `version` changes with what they are."""

    def __init__(self) -> None:
        self._learnt: dict[str, dict[Hole, float]] = {}
        self.version = 0

    def learn(self, profile: str, holes: Iterable[Hole], monotonic_s: float) -> int:
        """Remember `holes` until tomorrow; how many of them are new."""
        known = self._learnt.setdefault(profile, {})
        new = [hole for hole in holes if hole not in known][: MAX_HOLES - len(known)]
        known |= dict.fromkeys(new, monotonic_s + REMEMBER_S)
        self.version += bool(new)
        return len(new)

    def of(self, profile: str, monotonic_s: float) -> list[Hole]:
        """What is known of a profile now."""
        known = self._learnt.get(profile, {})
        past = [hole for hole, until_s in known.items() if monotonic_s >= until_s]
        for hole in past:
            del known[hole]
        self.version += bool(past)
        return list(known)
