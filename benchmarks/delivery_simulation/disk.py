"""The disk of the simulated gateway: what is synced survives a crash, what is not is undone."""

import uuid
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from benchmarks.delivery_simulation.world import World
from protocols.ids import Epoch, Lane

_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


class Entry(NamedTuple):
    """A batch on the disk."""

    rows: tuple[int, ...]
    declared: tuple[int, ...]
    payload: bytes
    acked_us: int | None = None
    rewound: bool = False
    thinned: bool = False

    @property
    def cost(self) -> int:
        """Units of the store's capacity."""
        return 1 + len(self.rows) + len(self.declared)

    @property
    def empty(self) -> bool:
        return not self.rows and not self.declared


class Gap(NamedTuple):
    """A noted loss, and the batch that declares it."""

    rows: int
    carrier: int | None = None


class Disk:
    """One store; changed only inside `transaction`, which is durable or undone as a whole."""

    def __init__(self, world: World, *, capacity: int) -> None:
        self.world = world
        self.capacity = capacity
        self.epoch = Epoch(uuid.UUID(int=world.chance.getrandbits(128)))
        self.batches: dict[Lane, dict[int, Entry]] = {lane: {} for lane in Lane}
        self.last_seq: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self.expired_seq: dict[Lane, int] = dict.fromkeys(Lane, 0)
        self.gaps: dict[int, Gap] = {}
        self.totals: dict[str, int] = dict.fromkeys(("appended", "acked", "dropped", "refused"), 0)
        self.appended: dict[int, tuple[Lane, int]] = {}
        """Every row that was made durable here, and the number it stands under."""
        self.lost: dict[int, str] = {}
        """Rows given up or merged away, and why."""
        self.full = False
        self.ballast = True
        self.away = False
        self.corrupt = False
        self.writes = 0
        """Of anything; tells whether there is something new to check."""
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def put(self, table: dict[_K, _V], key: _K, value: _V) -> None:
        self.world.point()
        self.writes += 1
        self._undo.append((table, key, table.get(key, self)))
        table[key] = value

    def remove(self, table: dict[_K, _V], key: _K) -> None:
        self.writes += 1
        self._undo.append((table, key, table.pop(key)))

    def add(self, name: str, amount: int) -> None:
        self.put(self.totals, name, self.totals[name] + amount)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.world.point()
        yield
        self.world.point()
        self.sync()
        self.world.point()

    def sync(self) -> None:
        """All that was written is durable."""
        self._undo.clear()

    def lose_unsynced(self) -> None:
        """What a power cut leaves: the last synced state."""
        for table, key, before in reversed(self._undo):
            if before is self:
                del table[key]
            else:
                table[key] = before
        self._undo.clear()

    def used(self) -> int:
        return sum(
            [
                1 + len(entry.rows) + len(entry.declared)
                for batches in self.batches.values()
                for entry in batches.values()
            ]
        )

    def waiting(self) -> tuple[dict[Lane, int], int]:
        """Batches that wait, by lane, and their rows."""
        counts, rows = dict.fromkeys(self.batches, 0), 0
        for lane, batches in self.batches.items():
            for entry in batches.values():
                if entry.acked_us is None:
                    counts[lane] += 1
                    rows += len(entry.rows) + len(entry.declared)
        return counts, rows
