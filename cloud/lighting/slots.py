"""The quarters of an hour of dark stretches, as one grid: rows are stretches, columns slots.

The first slot of a stretch begins with it; the others begin on the quarters of the clock, in every
time zone whose offset is a whole number of quarters. The last one ends with the stretch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.time import US_PER_S

SLOT_US = 900 * US_PER_S

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Grid:
    """`start_us` and `hours` (rows, slots): where a slot begins and how long it is; 0 h = none."""

    start_us: Ints
    hours: npt.NDArray[np.float32]


def slots_of(on_us: Ints, off_us: Ints, *, width: int | None = None) -> Grid:
    """The slots of the stretches [on, off) (rows,); `width` columns, or as many as are needed."""
    first = on_us // SLOT_US
    needed = int(np.max(-(-off_us // SLOT_US) - first, initial=0))
    edge = (first[:, None] + np.arange((needed if width is None else width) + 1)) * SLOT_US
    edge = np.clip(edge, on_us[:, None], off_us[:, None])
    hours = (np.diff(edge, axis=1) / (3600 * US_PER_S)).astype(np.float32)
    return Grid(edge[:, :-1], hours)
