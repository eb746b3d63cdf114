"""What one poll asks: the reads of a group, parted at the holes of its profile."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.bus import pdu
from edge.bus.holes import HoleMap, split
from edge.sampling import PollGroup
from protocols.registers import ReadBlock

Answered = list[tuple[ReadBlock, Sequence[int] | None]]
"""Each read of a poll with its registers; None: it failed."""

RETEST_S = 600.0
"""How long a point that a unit has refused, or a unit that refused everything, is taken at that."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A read and the request for it."""

    block: ReadBlock
    request: bytes


def ask_of(block: ReadBlock) -> Ask:
    return Ask(block, pdu.read_request(block.function, block.address, block.count))


@dataclass(slots=True)
class Poll:
    """A group that is polled: what it asks, and whether it is at it now."""

    group: PollGroup
    running: bool = False
    problem: str | None = None
    split_again_s: float = 0.0
    _asks: tuple[Ask, ...] = ()
    _version: int = -1
    _refused: dict[tuple[str, int], float] = field(default_factory=dict)

    def asks(self, holes: HoleMap, monotonic_s: float) -> tuple[Ask, ...]:
        """The requests of this turn."""
        if self._version != holes.version:
            known = holes.of(self.group.profile.name, monotonic_s)
            parts = [part for read in self.group.reads for part in split(read, known)]
            self._asks = tuple(ask_of(part) for part in parts)
            self._version = holes.version
        return self._asks

    def refused(self, block: ReadBlock, monotonic_s: float) -> None:
        """The unit refuses these points by themselves: do not ask every time."""
        self._refused[block.function, block.address] = monotonic_s + RETEST_S

    def is_refused(self, block: ReadBlock, monotonic_s: float) -> bool:
        return monotonic_s < self._refused.get((block.function, block.address), 0.0)
