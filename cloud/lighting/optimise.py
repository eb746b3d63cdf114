"""The cheapest levels of a night that its classes allow: an exact dynamic programme, vectorised.

A row is one dark stretch of one segment, a column one slot of it. Level 0 is the light of the
normal class, level k that of k classes lower. The programme minimises energy plus a price for each
change of level, subject to
- never below the class: level <= `lowest` of the slot;
- dwell: a level that is lowered to lasts at least DWELL_SLOTS slots; raising is free at any time;
- at most `changes` changes of level inside the row.

Only the lights of the classes are levels to choose from: power rises with light, so any other level
could be lowered to the next of them without breaking a rule. Level 0 throughout keeps every rule,
so there is always a plan. A test compares with the enumeration of all plans.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DWELL_SLOTS = 2

Levels = npt.NDArray[np.int8]
Floats32 = npt.NDArray[np.float32]

_CHUNK_ROWS = 4_096
"""Rows worked on together: the tables of so many stay in the processor's cache."""

_NEVER = np.float32(np.inf)


@dataclass(frozen=True, slots=True)
class Nights:
    """What there is to plan.

    `lowest` (rows, slots): classes lower that the slot allows. `hours` (rows, slots): length of
    the slot, 0 after the row's end. `power_w` (rows, levels): of the segment at each level.
    `changes` (rows,): changes of level allowed. `change_wh`: price of a change, so that a few
    watt-hours do not make lamps restless. `ramp_h` (rows,): how long a lowering takes, in which the
    light is half-way in the mean.
    """

    lowest: Levels
    hours: Floats32
    power_w: Floats32
    changes: Levels
    change_wh: float
    ramp_h: Floats32


def cheapest(nights: Nights) -> Levels:
    """Chosen level (rows, slots) of least cost; 0 after a row's end."""
    rows, slots = nights.lowest.shape
    chosen = np.zeros((rows, slots), dtype=np.int8)
    for begin in range(0, rows, _CHUNK_ROWS):
        part = slice(begin, begin + _CHUNK_ROWS)
        chosen[part] = _Chunk(nights, part).solved()
    return np.where(nights.hours > 0, chosen, 0).astype(np.int8)


class _Chunk:
    """Dynamic programme over the slots of some rows.

    States: (level, changes used), each settled or fresh; fresh = lowered to in this slot, so that
    the next must keep it. Settled states come first in the numbering that `_came_from` holds.
    """

    def __init__(self, nights: Nights, part: slice) -> None:
        self._lowest = nights.lowest[part]
        self._hours = nights.hours[part]
        self._power = np.ascontiguousarray(nights.power_w[part].T)
        self._changes = nights.changes[part]
        self._price = np.float32(nights.change_wh)
        self._ramp_h = nights.ramp_h[part]
        self._levels, self._rows = self._power.shape
        self._used = int(self._changes.max(initial=0)) + 1
        shape = (self._levels, self._used, self._rows)
        self._settled = np.full(shape, _NEVER, dtype=np.float32)
        self._fresh = np.full(shape, _NEVER, dtype=np.float32)
        slots = self._lowest.shape[1]
        self._came_from = np.zeros((slots, 2, *shape), dtype=np.uint8)

    def solved(self) -> Levels:
        slots = self._lowest.shape[1]
        if slots:
            self._begin()
        for slot in range(1, slots):
            self._step(slot)
        return self._traced()

    def _begin(self) -> None:
        cost = self._cost(0)
        self._settled[0, 0] = cost[0]
        self._fresh[1:, 0] = cost[1:]

    def _cost(self, slot: int) -> Floats32:
        """(levels, rows): energy of the slot, infinite where the level is below the class."""
        hours, lowest = self._hours[:, slot], self._lowest[:, slot]
        allowed = np.arange(self._levels, dtype=np.int8)[:, None] <= lowest
        return np.where(allowed | (hours == 0), self._power * hours, _NEVER)

    def _step(self, slot: int) -> None:
        cost = self._cost(slot)
        over = self._hours[:, slot] == 0
        fresh = np.where(over, _NEVER, self._fresh) if over.any() else self._fresh
        settled, new = self._settled, np.empty_like(self._settled)
        begun = np.full_like(settled, _NEVER)
        for level in range(self._levels):
            came = self._came_from[slot, :, level]
            best = settled[level].copy()
            came[0] = self._number(level, settled=True)
            self._take(best, came[0], fresh[level], self._number(level, settled=False))
            for lower in range(level + 1, self._levels):
                self._take_change(best, came[0], settled[lower], lower)
            new[level] = best + cost[level]
            for higher in range(level):
                ramp_wh = (self._power[higher] - self._power[level]) * self._ramp_h / 2
                self._take_change(begun[level], came[1], settled[higher] + ramp_wh, higher)
            begun[level] += cost[level]
        self._settled, self._fresh = new, begun

    def _take_change(
        self, best: Floats32, came: npt.NDArray[np.uint8], source: Floats32, level: int
    ) -> None:
        """Offer every state that costs one change from `source`."""
        number = self._number(level, settled=True)
        self._take(best[1:], came[1:], source[:-1] + self._price, number)

    @staticmethod
    def _take(best: Floats32, came: npt.NDArray[np.uint8], offered: Floats32, number: int) -> None:
        better = offered < best
        np.copyto(best, offered, where=better)
        np.copyto(came, np.uint8(number), where=better)

    def _number(self, level: int, *, settled: bool) -> int:
        return level if settled else self._levels + level

    def _traced(self) -> Levels:
        """Follow the best end back to the first slot."""
        slots = self._lowest.shape[1]
        chosen = np.zeros((self._rows, slots), dtype=np.int8)
        too_many = np.arange(self._used)[:, None] > self._changes
        ends = np.where(too_many, _NEVER, self._settled).reshape(-1, self._rows)
        best = ends.argmin(axis=0)
        level, used = best // self._used, best % self._used
        fresh = np.zeros(self._rows, dtype=np.int64)
        row = np.arange(self._rows)
        for slot in range(slots - 1, -1, -1):
            chosen[:, slot] = level
            came = self._came_from[slot, fresh, level, used, row].astype(np.int64)
            before = came % self._levels
            used = used - (before != level)
            fresh, level = came // self._levels, before
        return chosen


def changes_of(chosen: Levels) -> Iterator[tuple[int, int]]:
    """(row, slot) of every slot whose level differs from the one before it in its row."""
    rows, slots = np.nonzero(chosen[:, 1:] != chosen[:, :-1])
    yield from zip(rows.tolist(), (slots + 1).tolist(), strict=True)
