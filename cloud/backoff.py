"""Waiting between attempts: exponential, with full jitter, bounded."""

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Delays drawn from 0..bound, the bound doubling from `first_s` up to `most_s`.

    Full jitter keeps many clients from returning together (M. Brooker, AWS Architecture Blog,
    2015, "Exponential Backoff And Jitter").
    """

    first_s: float = 0.5
    most_s: float = 30.0
    draw: random.Random = field(default_factory=random.Random)
    _bound_s: float = 0.0

    def next_s(self) -> float:
        """How long to wait now."""
        self._bound_s = min(self.most_s, max(self.first_s, 2 * self._bound_s))
        return self.draw.uniform(0.1, 1.0) * self._bound_s

    def reset(self) -> None:
        """It worked: begin with short waits again."""
        self._bound_s = 0.0
