"""Words that every part of waiting shares: what is counted, and what a figure rests on."""

from __future__ import annotations

from enum import StrEnum


class Situation(StrEnum):
    """Which detectors speak: A tail, entry, exit; B entry, exit; C entry only; NONE nothing.

    D: as A or B, and the service time of each visit is known (weighbridge or card).
    """

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    NONE = "none"


class Basis(StrEnum):
    """Where a figure comes from; TYPICAL: from the profile alone; NONE: there is no figure."""

    MEASURED = "measured"
    INFERRED = "inferred"
    TYPICAL = "typical"
    NONE = "none"
