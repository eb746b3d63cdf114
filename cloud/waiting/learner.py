"""The nightly lesson: each site's model anew from its last weeks, and what is usual there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import AsyncConnection

from cloud.waiting import memory, store
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.learning import learn
from cloud.waiting.memory import Forecast, Learned
from cloud.waiting.openings import Past, past_openings
from cloud.waiting.outlooks import typical_forecasts
from cloud.waiting.site import SiteModel
from cloud.waiting.store import Facility
from cloud.waiting.track import identity
from protocols.time import TimeUs, from_datetime, to_datetime

WEEKS = 6
BACK = timedelta(weeks=WEEKS)
AGAIN_AFTER = timedelta(hours=20)
FEW = 12
"""A model of fewer openings than this is learned anew as soon as there are more."""

ENOUGH = 4
"""From so many openings on a profile says what is usual."""

ENDED = timedelta(minutes=15)
"""Until then the last counts of an opening have come."""


@dataclass(frozen=True, slots=True)
class Model:
    """A site's model, when it was learned (None: never), from how many openings, and what tells
    it from others."""

    learned_at: datetime | None
    openings: int
    model: SiteModel
    key: bytes


def model_of(facility: Facility, learned: Learned | None) -> Model:
    """The model that was learned, or what is declared where none was, or by another version."""
    if learned is not None:
        try:
            model = SiteModel.from_document(learned.document)
        except (ValueError, KeyError):
            model = learn([], facility.declared)
        return Model(learned.learned_at, learned.openings, model, identity(model))
    model = learn([], facility.declared)
    return Model(None, 0, model, identity(model))


async def learn_due(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Learn the sites whose turn it is; how many. One that is open waits until it has closed,
    unless little is known of it yet."""
    facilities = await store.facilities(conn)
    calendar = await calendars(conn, facilities, now_us, back=BACK + timedelta(days=1))
    known = await memory.models(conn, [one.facility_id for one in facilities])
    learned = 0
    for one in facilities:
        place = calendar.get(one.facility_id)
        if place is not None and _is_due(place, known.get(one.facility_id), now_us):
            learned += await _learn_one(conn, one, place, known.get(one.facility_id), now_us)
    return learned


def _is_due(calendar: Calendar, last: Learned | None, now_us: TimeUs) -> bool:
    if last is None or last.openings < FEW:
        return True
    old = to_datetime(now_us) - last.learned_at >= AGAIN_AFTER
    return old and calendar.hours.current(now_us) is None


async def _learn_one(
    conn: AsyncConnection,
    facility: Facility,
    calendar: Calendar,
    last: Learned | None,
    now_us: TimeUs,
) -> bool:
    """Learn a site from its past openings; False where there are no more of them than before."""
    now = to_datetime(now_us)
    since_us, until_us = from_datetime(now - BACK), from_datetime(now - ENDED)
    past = await past_openings(conn, facility, calendar, since_us=since_us, until_us=until_us)
    if last is not None and last.openings < FEW and len(past) <= last.openings:
        return False
    model, usual = await asyncio.to_thread(_lesson, facility, calendar, past, now_us)
    async with conn.transaction():
        learned = Learned(now, len(past), model.to_document())
        await memory.keep_model(conn, facility.facility_id, learned)
        await memory.keep_forecasts(conn, [(facility.facility_id, one) for one in usual])
    return True


def _lesson(
    facility: Facility, calendar: Calendar, past: Sequence[Past], now_us: TimeUs
) -> tuple[SiteModel, list[Forecast]]:
    model = learn([one.counts for one in past], facility.declared)
    usual = typical_forecasts(model, calendar, now_us) if len(past) >= ENOUGH else []
    return model, usual
