"""What every part of a schedule shares: chance, time, the fuse of the next crash, the messages."""

import random
from typing import NamedTuple

from protocols.ids import Epoch, Lane
from protocols.time import TimeUs

START_US = 1_800_000_000_000_000


class Crash(BaseException):
    """The edge process is killed here."""


class Violation(AssertionError):  # noqa: N818 - it is what was found, not a fault of the program
    """A promise was broken."""


class Message(NamedTuple):
    """What a payload stands for; `declared` are the gap rows: how many rows each declares."""

    epoch: Epoch
    lane: Lane
    seq: int
    rows: tuple[int, ...]
    declared: tuple[int, ...]


class World:
    """Chance and time of one schedule. Payloads are names of messages, unique in the world."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.monotonic = 0.0
        self.wall_us = START_US
        self.fuse = 0
        """Points until the crash; 0: none is due."""
        self.points = 0
        self.sent: set[bytes] = set()
        """Payloads that anybody may have got: what they say must never change."""
        self._messages: list[Message] = []

    # The clock that the edge asks

    def now_us(self) -> TimeUs:
        return TimeUs(self.wall_us)

    def monotonic_s(self) -> float:
        return self.monotonic

    def pass_time(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall_us += round(seconds * 1e6)

    # Crashes

    def point(self) -> None:
        """A place where the process may die: between any two things that others can see."""
        self.points += 1
        if self.fuse:
            self.fuse -= 1
            if not self.fuse:
                raise Crash

    # Messages

    def payload(self, message: Message) -> bytes:
        self._messages.append(message)
        return b"%d" % (len(self._messages) - 1)

    def message(self, payload: bytes) -> Message:
        return self._messages[int(payload)]
