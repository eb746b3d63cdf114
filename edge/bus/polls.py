"""What one poll asks: the reads of a group, parted at the holes of its profile."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.bus import pdu
from edge.bus.holes import HoleMap, split
from edge.bus.requests import Place
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

    @property
    def has_refusals(self) -> bool:
        """Whether some of its reads may have to be left out."""
        return bool(self._refused)

    def refused(self, block: ReadBlock, monotonic_s: float) -> None:
        """The unit refuses these points by themselves: do not ask every time."""
        self._refused[block.function, block.address] = monotonic_s + RETEST_S

    def is_refused(self, block: ReadBlock, monotonic_s: float) -> bool:
        return monotonic_s < self._refused.get((block.function, block.address), 0.0)


@dataclass(slots=True)
class Round:
    """One turn of a poll: what it asks, and what has come of that so far."""

    poll: Poll
    place: Place
    asks: tuple[Ask, ...]
    answers: Answered = field(default_factory=list)
    _asked: int = 0

    @property
    def next(self) -> Ask | None:
        """What is to be asked next; None once all has been."""
        return self.asks[self._asked] if self._asked < len(self.asks) else None

    def replied(self, reply: bytes) -> None:
        """A good reply to what was asked next."""
        ask = self.asks[self._asked]
        self.ended([(ask.block, pdu.numbers(ask.request, reply))])

    def failed(self) -> None:
        """What was asked next cannot be had."""
        self.ended([(self.asks[self._asked].block, None)])

    def ended(self, answers: Answered) -> None:
        """What was asked next was found out in parts."""
        self.answers += answers
        self._asked += 1

    def give_up(self) -> None:
        """Nobody answers: the rest is not asked."""
        self.answers += [(ask.block, None) for ask in self.asks[self._asked :]]
        self._asked = len(self.asks)
