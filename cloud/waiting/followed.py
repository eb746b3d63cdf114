"""Past openings as the filter followed them: the queue that it believed in, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cloud.waiting import grid
from cloud.waiting.site import OpeningCounts, SiteModel, Vector


@dataclass(frozen=True, slots=True)
class Followed:
    """An opening; `queue` (steps, lengths): P(cars waiting = 0, 1, ...) after each step, and
    `served` (steps,): cars a second that the bays believed in use serve."""

    one: OpeningCounts
    queue: Vector
    served: Vector


def followed(model: SiteModel, openings: Sequence[OpeningCounts]) -> list[Followed]:
    """Each of `openings`, from its begin to its end."""
    return [_followed(model, one) for one in openings]


def _followed(model: SiteModel, one: OpeningCounts) -> Followed:
    states = list(grid.run(model, one))
    queue = np.array([state.queue for state in states]).reshape(one.steps, -1)
    served = np.array([state.service_rate * max(state.mean_bays, 1.0) for state in states])
    return Followed(one, queue, served)
