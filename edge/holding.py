"""What a point shows between its samples: a value holds until the next one, for so long at most.

The last value known is the best guess of the value now, and it is what an integral over time needs;
but a device that has gone silent shows nothing, so a value lapses after a while. Pure.
"""

from dataclasses import dataclass


@dataclass(slots=True)
class Holding:
    """One signal. `elapse` says how long its value has held since it was last asked."""

    hold_us: int
    """How long a value speaks for the time after its sample, if no other comes."""
    value: int | None = None
    begun: bool = False
    """Whether there ever was a value."""
    _since_us: int = 0
    _until_us: int = 0

    def take(self, value: int, t_us: int) -> None:
        """A sample at `t_us`, after the time before it has been elapsed."""
        self.value, self.begun = value, True
        self._since_us, self._until_us = t_us, t_us + self.hold_us

    def replace(self, value: int, t_us: int) -> int:
        """`elapse` to a sample and `take` it, in one."""
        held_us = 0
        if self.value is not None:
            end_us = t_us if t_us < self._until_us else self._until_us
            held_us = max(0, end_us - self._since_us)
        self.value, self.begun = value, True
        self._since_us, self._until_us = t_us, t_us + self.hold_us
        return held_us

    def lapse(self) -> None:
        """The value is known no longer."""
        self.value = None

    def forget(self) -> None:
        """Start anew, as if nothing had been seen."""
        self.value, self.begun = None, False

    def elapse(self, to_us: int) -> int:
        """Microseconds that `value` held up to `to_us` and that were not told before."""
        if self.value is None:
            return 0
        end_us = to_us if to_us < self._until_us else self._until_us
        held_us = end_us - self._since_us
        if held_us <= 0:
            return 0
        self._since_us = end_us
        return held_us

    def before(self, t_us: int, start_us: int) -> int:
        """Microseconds before the very first value, at `t_us`, that it may speak for.

        There is nothing older to hold: without this the first window after a start would always
        look incomplete. Not before `start_us`.
        """
        return 0 if self.begun else min(self.hold_us, max(0, t_us - start_us))
