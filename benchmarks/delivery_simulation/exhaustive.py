"""Every crash point with every single fault at every place, for a few messages.

The script sends each message, loses nothing and is acknowledged; then it is played again with one
fault more at each of its places, and each of these with a crash at each point on the way.
"""

import random
from collections.abc import Iterator

from benchmarks.delivery_simulation.schedule import Played, Schedule

FAULTS = (
    "nothing",
    "lose_message",
    "double_message",
    "lose_ack",
    "double_ack",
    "disconnect",
    "kill",
    "worker_dies",
    "worker_dies_after_commit",
    "broker_dies",
    "fill_disk",
    "restore",
    "refuse",
)
_STORE = ("measure", "cycle")
_CARRY = ("publish", "arrive", "commit", "ack", "settle")


class _Fixed(random.Random):
    """Always the first choice, so that a script says it all."""

    def random(self) -> float:
        return 0.0

    def getrandbits(self, k: int) -> int:
        return 1

    def randint(self, a: int, b: int) -> int:
        return a

    def randrange(self, *_: int) -> int:  # type: ignore[override]  # only one form is used
        return 0


def script(messages: int) -> tuple[str, ...]:
    """All messages are stored first, then they go their way one by one."""
    return ("connect", "back_up", *_STORE * messages, *_CARRY * messages)


def play(steps: tuple[str, ...], *, crash_at: int) -> tuple[Played, int]:
    """Play `steps`, with a crash at point `crash_at` (0: none); also the number of points."""
    schedule = Schedule(_Fixed())
    schedule.world.fuse = crash_at
    for step in steps:
        schedule.take(step)
    points = schedule.world.points
    schedule.end_fairly()
    schedule.settle_account()
    return Played(schedule.steps, schedule.crashes, schedule.gateway.made), points


def all_schedules(messages: int) -> Iterator[Played]:
    """Every fault at every place with a crash at every point; Violation where one fails."""
    plain = script(messages)
    for fault in FAULTS:
        for place in range(1, len(plain) + 1):
            if fault == "nothing" and place > 1:
                break
            middle = () if fault == "nothing" else (fault,)
            steps = (*plain[:place], *middle, *plain[place:])
            played, points = play(steps, crash_at=0)
            yield played
            for point in range(1, points + 1):
                yield play(steps, crash_at=point)[0]
