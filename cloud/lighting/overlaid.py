"""Why a level holds where somebody has ordered another one than the plan's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from cloud.lighting.model import Group
from cloud.lighting.planner import Explained
from protocols.plan import Override, first_of
from protocols.time import TimeUs


def overlaid(
    why: Sequence[Explained], overrides: Sequence[Override], group: Group
) -> list[Explained]:
    """The runs of a plan with the orders by hand laid over them, by the order of `protocols.plan`.

    What it cuts of a run keeps the run's reason; an order has its own as `reference`.
    """
    return [piece for run in why for piece in _pieces(run, overrides, group)]


def _pieces(run: Explained, overrides: Sequence[Override], group: Group) -> Iterator[Explained]:
    edges = {run.from_us, run.until_us}
    for override in overrides:
        edges |= {
            t_us
            for t_us in (override.from_us, override.until_us)
            if run.from_us < t_us < run.until_us
        }
    for begin, end in pairwise(sorted(edges)):
        order = first_of(overrides, begin)
        piece = replace(run, from_us=TimeUs(begin), until_us=TimeUs(end))
        yield piece if order is None else _ordered(piece, order, group)


def _ordered(piece: Explained, order: Override, group: Group) -> Explained:
    """Baseline and bound stay what they were: they are of the time, not of the order."""
    return replace(
        piece,
        level_pct=order.level_pct,
        rule="override",
        lower=0,
        lighting_class=None,
        terms={},
        reference=order.reason,
        expected_w=round(len(group.devices) * group.lamp.watts(order.level_pct), 1),
    )
