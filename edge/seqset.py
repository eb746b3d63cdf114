"""A set of sequence numbers, kept as closed ranges: a backlog of 100,000 batches is one range."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Range = tuple[int, int]
"""A closed range of sequence numbers, (first, last)."""


class SeqSet:
    """Sorted, disjoint, non-adjacent ranges."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.extend(first, last)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges())

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __contains__(self, seq: int) -> bool:
        return self.after(seq - 1) == seq

    def ranges(self) -> tuple[Range, ...]:
        return tuple(zip(self._firsts, self._lasts, strict=True))

    def extend(self, first: int, last: int) -> None:
        """Add `first`..`last`; they must follow everything that the set holds."""
        if last < first or (self._lasts and first <= self._lasts[-1]):
            raise ValueError(f"{first}..{last} does not follow {self._lasts[-1:]}")
        if self._lasts and first == self._lasts[-1] + 1:
            self._lasts[-1] = last
            return
        self._firsts.append(first)
        self._lasts.append(last)

    def insert(self, first: int, last: int) -> None:
        """Add `first`..`last` wherever they belong; some of them may be in the set already."""
        begin = bisect_left(self._lasts, first - 1)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def after(self, seq: int) -> int | None:
        """The smallest member above `seq`."""
        position = bisect_right(self._lasts, seq)
        if position == len(self._lasts):
            return None
        return max(self._firsts[position], seq + 1)

    def remove(self, first: int, last: int) -> tuple[Range, ...]:
        """Take `first`..`last` out; returns the parts that were in the set."""
        begin = bisect_left(self._lasts, first)
        end = bisect_right(self._firsts, last)
        if begin >= end:
            return ()
        touched = list(zip(self._firsts[begin:end], self._lasts[begin:end], strict=True))
        head = [(touched[0][0], first - 1)] if touched[0][0] < first else []
        tail = [(last + 1, touched[-1][1])] if touched[-1][1] > last else []
        kept = head + tail
        self._firsts[begin:end] = [lo for lo, _ in kept]
        self._lasts[begin:end] = [hi for _, hi in kept]
        return tuple((max(lo, first), min(hi, last)) for lo, hi in touched)
