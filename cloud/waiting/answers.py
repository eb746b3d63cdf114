"""The forms in which a wait and a forecast are answered. Null is what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from cloud.waiting import messages
from cloud.waiting.health import STALE_S
from cloud.waiting.memory import Forecast
from cloud.waiting.messages import LANGUAGES, Message
from cloud.waiting.model import Basis, Situation
from cloud.waiting.opening import Status
from cloud.waiting.outlook import Slot, best
from cloud.waiting.outlooks import slots_of
from cloud.waiting.service import Shown, Told, bracket_after
from cloud.waiting.shape import Confidence, level, minutes
from cloud.waiting.store import Facility
from protocols.time import US_PER_S, Clock, TimeUs, to_datetime

CACHE = "public, max-age=30"
ANSWER_US = 30 * US_PER_S
"""Answers are those of the end of the present half minute: the same bytes, hence the same tag, for
as long as they may be cached, and never younger than they say."""


class WaitMinutesForm(BaseModel):
    """Half, four of five and nineteen of twenty visitors wait no longer than this."""

    p50: float
    p80: float
    p95: float


class PeopleAheadForm(BaseModel):
    """Cars in the queue, in half and in four of five cases no more than this."""

    p50: float
    p80: float


class TextForm(BaseModel):
    """A text in three languages."""

    fr: str
    de: str
    en: str


class WaitForm(BaseModel):
    """The wait of a car that joins now, or when it arrives."""

    id: str
    site: str
    territory: str
    name: str
    status: str = Field(
        description="open, closed, opening_soon, closing_soon, saturated or unknown"
    )
    wait_minutes: WaitMinutesForm | None = Field(description="Null: closed or not known")
    at_least_minutes: int | None = Field(
        description="Instead of wait_minutes where the queue reaches beyond the tail counter:"
        " four of five wait longer"
    )
    below_minutes: int | None = Field(
        description="Headline: the bracket of the p80; 0 no wait, 90 over an hour"
    )
    level: str | None = Field(description="calm, normal or busy; also where minutes are not told")
    typical_minutes: WaitMinutesForm | None = Field(
        description="Usual at this time, from the profile alone; null unless basis is typical"
    )
    people_ahead: PeopleAheadForm | None
    in_site: int | None = Field(description="Cars inside")
    capacity: int = Field(description="Cars served at a time")
    trend: str | None = Field(description="rising, steady or falling; a direction at 80 %")
    confidence: str = Field(description="high, medium, low or none")
    basis: str = Field(description="measured, inferred, typical or none")
    situation: str = Field(
        description="Detectors in use: A tail, entry, exit; B entry, exit; C entry; D and times"
        " of service; none"
    )
    observed_at: datetime | None = Field(description="Cars were counted up to here")
    computed_at: datetime | None
    valid_until: datetime | None = Field(description="After this the figure means nothing")
    age_s: int | None
    opens_at: datetime | None
    closes_at: datetime | None
    last_admission_before_close: datetime | None = Field(
        description="Who comes by then is served before closing in four of five cases"
    )
    travel_min: int = Field(description="Minutes of travel that were asked for")
    p_admitted_if_leave_now: float | None = Field(
        description="Chance of being served before closing"
    )
    notice: str | None = Field(description="Why it is closed or open against its week")
    message_key: str
    message: TextForm


class WaitPage(BaseModel):
    """Every facility's wait."""

    items: list[WaitForm]


class SlotForm(BaseModel):
    """A car that joins at `t`; minutes and chances are null where minutes are never told."""

    t: datetime
    live: bool = Field(description="From the present state; false: from the profile alone")
    p50: float | None
    p80: float | None
    p95: float | None
    p_gt_15: float | None = Field(description="Chance of more than 15 minutes")
    p_admitted: float = Field(description="Chance of being served before closing")
    level: str
    arrivals_p50: float = Field(description="Cars expected in the slot")


class ForecastForm(BaseModel):
    """Slots in order; `best_slots` are those of the shortest waits."""

    id: str
    computed_at: datetime | None
    items: list[SlotForm]
    best_slots: list[datetime]


class HourForm(BaseModel):
    """An hour; null where too few came."""

    t: datetime
    visitors: int | None
    p50: float | None = Field(description="Median of the waits shown, minutes")
    p80: float | None


class HistoryForm(BaseModel):
    """Hours in order."""

    id: str
    suppressed_below: int = Field(description="Hours with fewer visitors are null")
    items: list[HourForm]


def as_of(clock: Clock) -> TimeUs:
    """The end of the present half minute."""
    return TimeUs(-(-clock.now_us() // ANSWER_US) * ANSWER_US)


def wait_body(shown: Shown, *, travel_min: int = 0) -> dict[str, Any]:
    """The JSON form of what is shown."""
    facility, one = shown.facility, shown.estimate
    told = shown.after(travel_min * 60.0)
    usual = messages.usual(shown)
    typical = shown.typical if usual and messages.minutes_possible(shown) else None
    ahead = one.people_ahead if one and told else None
    message = messages.headline(shown, travel_min * 60.0)
    observed_at = shown.observed_at
    open_then = not (travel_min and shown.closed_after(travel_min * 60.0))
    return {
        "id": facility.slug,
        "site": facility.site_slug,
        "territory": facility.territory,
        "name": facility.name,
        "status": shown.status.value,
        "wait_minutes": _minutes(told),
        "at_least_minutes": shown.at_least_min if travel_min == 0 else None,
        "below_minutes": bracket_after(shown, travel_min * 60.0),
        "level": shown.level.value if shown.level and open_then else None,
        "typical_minutes": _minutes(typical),
        "people_ahead": {"p50": ahead[0], "p80": ahead[1]} if ahead else None,
        "in_site": round(one.in_site) if one and one.in_site is not None else None,
        "capacity": shown.bays,
        "trend": one.trend if one else None,
        "confidence": shown.confidence.value,
        "basis": shown.basis.value,
        "situation": shown.situation.value,
        "observed_at": observed_at,
        "computed_at": one.computed_at if one else None,
        "valid_until": observed_at + timedelta(seconds=STALE_S) if observed_at else None,
        "age_s": shown.age_s,
        "opens_at": shown.opens_at,
        "closes_at": shown.closes_at,
        "last_admission_before_close": shown.last_admission,
        "travel_min": travel_min,
        "p_admitted_if_leave_now": _chance(shown.admitted_after(travel_min * 60.0)),
        "notice": shown.notice,
        "message_key": message.key,
        "message": _texts(message),
    }


def unknown_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is left of an earlier answer when nothing new can be had: which facility it was of."""
    message = Message("unknown")
    return {
        **dict.fromkeys(body),
        **{key: body[key] for key in ("id", "site", "territory", "name", "capacity", "travel_min")},
        "status": Status.UNKNOWN.value,
        "confidence": Confidence.NONE.value,
        "basis": Basis.NONE.value,
        "situation": Situation.NONE.value,
        "message_key": message.key,
        "message": _texts(message),
    }


def forecast_body(
    facility: Facility, forecasts: Sequence[Forecast], slots: Sequence[Slot], *, step_min: int
) -> dict[str, Any]:
    """The JSON form of a forecast; with longer steps the first slot of each stands for it."""
    live = {slot.t_us for one in forecasts if one.live for slot in slots_of([one])}
    first = {_step_of(facility, slot, step_min): slot for slot in reversed(slots)}
    shown = reversed(first.values())
    return {
        "id": facility.slug,
        "computed_at": max((one.computed_at for one in forecasts), default=None),
        "items": [slot_body(facility, slot, live=slot.t_us in live) for slot in shown],
        "best_slots": [to_datetime(slot.t_us) for slot in best(slots)],
    }


def _step_of(facility: Facility, slot: Slot, step_min: int) -> tuple[date, int]:
    """Local day and number of the step in it."""
    at = to_datetime(slot.t_us).astimezone(facility.zone)
    return at.date(), (at.hour * 60 + at.minute) // step_min


def slot_body(facility: Facility, slot: Slot, *, live: bool) -> dict[str, Any]:
    """One slot; without an exit counter never in minutes."""
    told = messages.counts_exits(facility)
    return {
        "t": to_datetime(slot.t_us),
        "live": live,
        "p50": minutes(slot.p50_s) if told else None,
        "p80": minutes(slot.p80_s) if told else None,
        "p95": minutes(slot.p95_s) if told else None,
        "p_gt_15": _chance(slot.p_over_15min) if told else None,
        "p_admitted": _chance(slot.p_admitted),
        "level": level(slot.p80_s).value,
        "arrivals_p50": round(slot.arrivals_p50, 1),
    }


def _minutes(told: Told | Slot | None) -> dict[str, float | None] | None:
    if told is None:
        return None
    return {"p50": minutes(told.p50_s), "p80": minutes(told.p80_s), "p95": minutes(told.p95_s)}


def _chance(value: float | None) -> float | None:
    return None if value is None else round(min(max(value, 0.0), 1.0), 3)


def _texts(message: Message) -> dict[str, str]:
    return {language: message.text(language) for language in LANGUAGES}
