"""Forecasts of openings as they are kept: live from the present state, typical without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from cloud.waiting.calendar import Calendar
from cloud.waiting.memory import Forecast
from cloud.waiting.opening import Opening
from cloud.waiting.outlook import ADMITTED, Slot, Span, ahead, usual
from cloud.waiting.site import SLOT_S, SiteModel
from cloud.waiting.state import State
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

SLOT_US = SLOT_S * US_PER_S
MINUTE_US = 60 * US_PER_S
TYPICAL_DAYS = 7
"""For so many days ahead the openings have a forecast."""

FRESH_S = 600
"""So long a forecast from the present state is told."""


def live_forecast(
    model: SiteModel,
    state: State,
    calendar: Calendar,
    opening: Opening,
    now_us: TimeUs,
) -> Forecast:
    """From the next whole quarter of an hour to closing, from what is believed now."""
    begin_us = TimeUs(-(-state.t_us // SLOT_US) * SLOT_US)
    slots = ahead(model, state, _span(calendar, opening, begin_us))
    return _forecast(opening, slots, now_us, live=True)


def typical_forecasts(
    model: SiteModel, calendar: Calendar, now_us: TimeUs, *, days: int = TYPICAL_DAYS
) -> list[Forecast]:
    """Of the openings of today and the days to come, from the profile alone."""
    openings = calendar.hours.openings(calendar.hours.day_of(now_us), days)
    return [
        _forecast(one, usual(model, _span(calendar, one, one.from_us)), now_us, live=False)
        for one in openings
    ]


def held(
    forecasts: Sequence[Forecast], calendar: Calendar | None, now_us: TimeUs
) -> list[Forecast]:
    """One forecast an opening: the live one while it is fresh, else the usual one; without the
    slots at which the site is closed, as staff may have decided since."""
    chosen: dict[datetime, Forecast] = {}
    for one in forecasts:
        if not one.live or now_us - from_datetime(one.computed_at) <= FRESH_S * US_PER_S:
            chosen[one.opening_at] = one
    return _open_only(list(chosen.values()), calendar)


def usual_of(forecasts: Sequence[Forecast], calendar: Calendar | None) -> list[Forecast]:
    """Those from the profile alone, likewise."""
    return _open_only([one for one in forecasts if not one.live], calendar)


def _open_only(forecasts: Sequence[Forecast], calendar: Calendar | None) -> list[Forecast]:
    if calendar is None or not forecasts:
        return []
    hours = calendar.hours
    first, last = (
        hours.day_of(from_datetime(at))
        for at in (forecasts[0].opening_at, max(one.closes_at for one in forecasts))
    )
    openings = list(hours.openings(first - timedelta(days=1), (last - first).days + 2))
    return [
        replace(one, slots=[slot for slot in one.slots if _is_open(openings, slot["t_us"])])
        for one in forecasts
    ]


def _is_open(openings: Sequence[Opening], t_us: int) -> bool:
    return any(one.holds(t_us) for one in openings)


def slots_of(forecasts: Sequence[Forecast]) -> list[Slot]:
    """The slots of kept forecasts, in order."""
    return [_slot(each) for one in forecasts for each in one.slots]


def slot_at(forecasts: Sequence[Forecast], t_us: int) -> Slot | None:
    """The slot that holds at `t_us`; None outside the openings that have a forecast."""
    held = [
        slot
        for one in forecasts
        if from_datetime(one.opening_at) <= t_us < from_datetime(one.closes_at)
        for slot in slots_of([one])
    ]
    before = [slot for slot in held if slot.t_us <= t_us]
    return before[-1] if before else held[0] if held else None


def last_admission(forecasts: Sequence[Forecast], opening: Opening) -> datetime | None:
    """Until when to come to be served before closing, to the minute; None where nothing is known
    of it.

    Between slots, and from the last one to who is served at once when it closes, the chance goes in
    straight lines.
    """
    at = to_datetime(opening.from_us)
    slots = [slot for one in forecasts if one.opening_at == at for slot in slots_of([one])]
    if not slots:
        return None
    points = [*((s.t_us, s.p_admitted) for s in slots), (opening.until_us, slots[-1].p_zero)]
    good = [n for n, (_, chance) in enumerate(points) if chance >= ADMITTED]
    if not good:
        return None
    begin_us, high = points[good[-1]]
    if good[-1] + 1 == len(points):
        return to_datetime(begin_us)
    end_us, low = points[good[-1] + 1]
    crossed_us = begin_us + (end_us - begin_us) * (high - ADMITTED) / (high - low)
    return to_datetime(int(crossed_us // MINUTE_US) * MINUTE_US)


def _span(calendar: Calendar, opening: Opening, from_us: TimeUs) -> Span:
    second, kind = calendar.second_of_day(from_us), calendar.hours.day_kind(opening.from_us)
    return Span(from_us, opening.until_us, second, kind)


def _forecast(opening: Opening, slots: Sequence[Slot], now_us: TimeUs, *, live: bool) -> Forecast:
    return Forecast(
        to_datetime(opening.from_us),
        to_datetime(opening.until_us),
        to_datetime(now_us),
        live,
        [_document(slot) for slot in slots],
    )


def _document(slot: Slot) -> dict[str, Any]:
    return {
        "t_us": slot.t_us,
        "p50_s": round(slot.p50_s, 1),
        "p80_s": round(slot.p80_s, 1),
        "p95_s": round(slot.p95_s, 1),
        "p_over_15min": round(slot.p_over_15min, 4),
        "p_admitted": round(slot.p_admitted, 4),
        "arrivals_p50": round(slot.arrivals_p50, 2),
        "p_zero": round(slot.p_zero, 4),
    }


def _slot(document: Mapping[str, Any]) -> Slot:
    return Slot(**document)
