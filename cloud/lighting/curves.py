"""Learning what the lamps of a model draw: from their own readings, else from the feeder's steps.

Once a day, over the last days of every group, pooled by territory and lamp model. What was learned
takes the place of the declared curve in plans, explanations, the report and fault detection; where
too little was told, what was known before stays.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from psycopg import AsyncConnection

from cloud.lighting import fault_watch, power, store
from cloud.lighting.faults import Flags, Floats, Telemetry, unchanged
from cloud.lighting.power import CurveSource, PowerCurve
from cloud.lighting.store import GroupRecord
from protocols.time import TimeUs, to_datetime

log = logging.getLogger("eclor.lighting")

LAMP_SAMPLE = 8
"""So many lamps of a group speak for its model: a large group must not outvote the others."""

MIN_ALIVE = 0.9
"""The feeder is divided by its lamps only while at least this share of them is heard and well."""

Readings = tuple[Floats, Floats]
"""Levels in per cent and watts of one lamp."""


async def learn_curves(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Learn every model anew; how many were learned."""
    models: dict[tuple[str, str], list[GroupRecord]] = defaultdict(list)
    for record in await store.groups(conn):
        if record.lamp_ids:
            models[record.territory, record.lamp_model].append(record)
    learned = 0
    for (territory, model), members in models.items():
        told = [(r, await fault_watch.last_days(conn, r, now_us)) for r in members]
        curve = curve_of([(r, seen) for r, seen in told if seen is not None])
        if curve is None:
            continue
        await store.put_curve(conn, territory, model, curve, now=to_datetime(now_us))
        log.info(
            "curve_learned territory=%s model=%s source=%s full_w=%.1f interval_w=%.1f",
            territory,
            model,
            curve.source,
            curve.full_w,
            curve.interval_w,
        )
        learned += 1
    return learned


def curve_of(told: Sequence[tuple[GroupRecord, Telemetry]]) -> PowerCurve | None:
    """The curve of lamps of one model; their own readings come before the feeder's steps."""
    if not told:
        return None
    rated_w = max(record.rated_power_w for record, _ in told)
    own = [of_lamps(seen) for _, seen in told]
    shared = [of_feeder(seen) for record, seen in told if record.feeder_ids]
    lamps = min((len(record.lamp_ids) for record, _ in told), default=1)
    for source, found, sharing in (
        (CurveSource.LAMPS, own, 1),
        (CurveSource.FEEDER, shared, lamps),
    ):
        if found:
            level, watts = (np.concatenate(column) for column in zip(*found, strict=True))
            curve = power.learned(level, watts, rated_w=rated_w, source=source, lamps=sharing)
            if curve.readings:
                return curve
    return None


def of_lamps(seen: Telemetry) -> Readings:
    """Readings of shining lamps under a steady command, those that say they failed left out."""
    told = np.isfinite(seen.power_w) & seen.heard & ~seen.failed
    good = told & (seen.target_pct > 0) & unchanged(seen.target_pct, 2)
    good[:, LAMP_SAMPLE:] = False
    return seen.target_pct[good], seen.power_w[good]


def of_feeder(seen: Telemetry) -> Readings:
    """The feeder's load by lamp while all are commanded alike and nearly all of them are well."""
    lamps = seen.target_pct.shape[1]
    well = (seen.heard & ~seen.failed).sum(axis=1)
    level = seen.target_pct[:, 0]
    alike: Flags = np.all(seen.target_pct == level[:, None], axis=1)
    steady: Flags = np.all(unchanged(seen.target_pct, 2), axis=1)
    good = alike & steady & (level > 0) & np.isfinite(seen.feeder_w)
    good &= well >= MIN_ALIVE * lamps
    return level[good], (seen.feeder_w[good] - seen.own_use_w) / well[good]
