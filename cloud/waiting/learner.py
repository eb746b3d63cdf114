"""What is known of each site: a lesson a night from its last weeks, and each opening once over.

A lesson takes seconds a site, in a process of its own; what an opening adds to it is absorbed as
soon as its site has emptied, so that the afternoon knows what the morning told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import AsyncConnection

from cloud.jobs.apart import apart
from cloud.waiting import memory, store
from cloud.waiting.absorb import absorb
from cloud.waiting.calendar import Calendar, calendars
from cloud.waiting.isolation import Isolation
from cloud.waiting.learning import learn
from cloud.waiting.memory import Forecast, Learned
from cloud.waiting.openings import Past, counted, emptied
from cloud.waiting.outlooks import TYPICAL_DAYS, typical_forecasts
from cloud.waiting.site import Declared, SiteModel
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

LESSON = "lesson_at"
"""In the document of a model that has absorbed openings since: when the lesson was."""

LONGEST = timedelta(days=2)
"""No opening that has ended since a moment began longer than this before it."""

ENDED = timedelta(minutes=15)
"""Until then the last counts of an opening have come."""


@dataclass(frozen=True, slots=True)
class Model:
    """A site's model, when it was learned (None: never), from how many openings and what first
    guesses, and what tells it from others."""

    learned_at: datetime | None
    openings: int
    declared: Declared
    model: SiteModel
    key: bytes


def model_of(facility: Facility, learned: Learned | None) -> Model:
    """The model that was learned; of no openings, from what is declared, where there is none."""
    found = None if learned is None else _read(learned)
    openings = 0 if learned is None or found is None else learned.openings
    model = found or learn([], facility.declared)
    learned_at = None if learned is None else learned.learned_at
    return Model(learned_at, openings, facility.declared, model, identity(model))


def _read(learned: Learned) -> SiteModel | None:
    """None for what another version of the program wrote."""
    try:
        return SiteModel.from_document(learned.document)
    except (ValueError, KeyError):
        return None


async def learn_due(
    conn: AsyncConnection, now_us: TimeUs, isolation: Isolation | None = None
) -> int:
    """Learn the sites whose turn it is, let the others absorb what has ended; how many. A lesson
    waits until a site has closed, unless little is known of it yet."""
    isolation = isolation or Isolation("learn")
    facilities = await store.facilities(conn)
    calendar = await calendars(conn, facilities, now_us, back=BACK + timedelta(days=1))
    kept = await memory.models(conn, [one.facility_id for one in facilities])
    known = {key: one for key, one in kept.items() if _read(one) is not None}
    learned = 0
    for one in facilities:
        place, last = calendar.get(one.facility_id), known.get(one.facility_id)
        if place is None:
            continue
        with isolation.alone(one):
            learned += await _learn_or_absorb(conn, one, place, last, now_us)
    return learned


async def _learn_or_absorb(
    conn: AsyncConnection,
    facility: Facility,
    calendar: Calendar,
    last: Learned | None,
    now_us: TimeUs,
) -> bool:
    due = last is None or _is_due(calendar, last, now_us)
    if due and await _learn_one(conn, facility, calendar, last, now_us):
        return True
    return last is not None and await _absorb_new(conn, facility, calendar, last, now_us)


def _is_due(calendar: Calendar, last: Learned, now_us: TimeUs) -> bool:
    if last.openings < FEW:
        return True
    old = to_datetime(now_us) - _lesson_at(last) >= AGAIN_AFTER
    return old and calendar.hours.current(now_us) is None


def _lesson_at(last: Learned) -> datetime:
    """When the lesson was that a model goes back to."""
    said = last.document.get(LESSON)
    return last.learned_at if said is None else datetime.fromisoformat(said)


async def _absorb_new(
    conn: AsyncConnection, facility: Facility, calendar: Calendar, last: Learned, now_us: TimeUs
) -> bool:
    """Take in the openings that have ended since the model was made; False where none has.

    Of what was absorbed since a lesson the newest model is kept.
    """
    known_us, until_us = (
        from_datetime(at - ENDED) for at in (last.learned_at, to_datetime(now_us))
    )
    since_us = from_datetime(last.learned_at - LONGEST)
    ends = emptied(calendar.hours, since_us=since_us, until_us=until_us)
    new = {one: end for one, end in ends.items() if end > known_us}
    past = await counted(conn, facility, calendar, new) if new else []
    if not past:
        return False
    model = await apart(_wiser, SiteModel.from_document(last.document), past)
    kept = {**model.to_document(), LESSON: _lesson_at(last).isoformat()}
    learned = Learned(to_datetime(now_us), last.openings + len(past), kept)
    async with conn.transaction():
        if LESSON in last.document:
            await memory.drop_model(conn, facility.facility_id, last.learned_at)
        await memory.keep_model(conn, facility.facility_id, learned)
    return True


def _wiser(model: SiteModel, past: Sequence[Past]) -> SiteModel:
    """The model after openings that were not known to it; its laws moved to what then happened."""
    for one in past:
        model = absorb(model, one.counts)
    return model


async def _learn_one(
    conn: AsyncConnection,
    facility: Facility,
    calendar: Calendar,
    last: Learned | None,
    now_us: TimeUs,
) -> bool:
    """Learn a site from its past openings; False where they would teach less than is known: after
    weeks in which the site was closed, or when a counter was replaced by another device."""
    now = to_datetime(now_us)
    since_us, until_us = from_datetime(now - BACK), from_datetime(now - ENDED)
    ends = emptied(calendar.hours, since_us=since_us, until_us=until_us)
    past = await counted(conn, facility, calendar, ends)
    if last is not None and len(past) < min(last.openings + 1, FEW):
        await _renew_usual(conn, facility, calendar, last, now_us)
        return False
    model, usual = await apart(_lesson, facility, calendar, past, now_us)
    async with conn.transaction():
        learned = Learned(now, len(past), model.to_document())
        await memory.keep_model(conn, facility.facility_id, learned)
        await memory.keep_forecasts(conn, [(facility.facility_id, one) for one in usual])
    return True


async def _renew_usual(
    conn: AsyncConnection, facility: Facility, calendar: Calendar, last: Learned, now_us: TimeUs
) -> None:
    """What a lesson would forecast of the days to come, from the model that stays: once a day."""
    now, key = to_datetime(now_us), facility.facility_id
    kept = await memory.forecasts(conn, [key], since=now, until=now + timedelta(days=TYPICAL_DAYS))
    made = [one.computed_at for one in kept.get(key, []) if not one.live]
    if last.openings < ENOUGH or (made and now - max(made) < AGAIN_AFTER):
        return
    usual = await apart(typical_forecasts, SiteModel.from_document(last.document), calendar, now_us)
    await memory.keep_forecasts(conn, [(key, one) for one in usual])


def _lesson(
    facility: Facility, calendar: Calendar, past: Sequence[Past], now_us: TimeUs
) -> tuple[SiteModel, list[Forecast]]:
    model = learn([one.counts for one in past], facility.declared)
    usual = typical_forecasts(model, calendar, now_us) if len(past) >= ENOUGH else []
    return model, usual
