"""A recycling centre on the page: headline, what it rests on, the day to come, the record."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud.portal.texts import Texts
from cloud.waiting import messages, outlooks
from cloud.waiting.messages import Message
from cloud.waiting.opening import Status
from cloud.waiting.outlook import Slot, best
from cloud.waiting.scoring import Score
from cloud.waiting.service import Shown
from cloud.waiting.shape import NO_WAIT_S, Confidence, Level, bracket_min, level
from protocols.time import from_datetime, to_datetime

WIDTH, HEIGHT = 288.0, 48.0
TOP_S = 3600.0
"""A bar of full height."""

LEAST_SCORED = 100
"""Fewer scored estimates make no public figure."""

_LEVEL_HEIGHTS = {Level.CALM: 0.25, Level.NORMAL: 0.55, Level.BUSY: 0.9}
_TONES = {Level.CALM: "calm", Level.NORMAL: "busy", Level.BUSY: "long"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One quarter of an hour of the forecast, in view-box units."""

    x: str
    y: str
    width: str
    height: str
    tone: str


@dataclass(frozen=True, slots=True)
class Strip:
    """The rest of the day: bars, the table that stands for them, the best times to come."""

    label: str
    begin: str
    end: str
    bars: tuple[Bar, ...]
    rows: tuple[tuple[str, str], ...]
    best: str


@dataclass(frozen=True, slots=True)
class WaitCard:
    """One recycling centre. `tone` is calm, busy, long, none or closed: never told by colour
    alone."""

    name: str
    tone: str
    status: str
    headline: str
    range: str
    usual: str
    notice: str
    notes: tuple[str, ...]
    stamp: str
    observed_at: str
    strip: Strip | None
    accuracy: str


def wait_card(shown: Shown, score: Score | None, texts: Texts) -> WaitCard:
    """Headline: the bracket that holds the wait of four visitors of five."""
    message, wait = messages.headline(shown), shown.wait
    range_text = ""
    if wait is not None and shown.bracket_min and shown.status is not Status.SATURATED:
        low, high = math.ceil(wait.p50_s / 60), math.ceil(wait.p80_s / 60)
        key = "wait.range" if high > low else "wait.about"
        range_text = texts(key, low=low, high=high)
    usual = messages.usual(shown)
    return WaitCard(
        name=shown.facility.name,
        tone=_tone(shown, message),
        status=texts(f"status.{shown.status.value}"),
        headline=message.text(texts.language.value),
        range=range_text,
        usual=usual.text(texts.language.value) if usual else "",
        notice=shown.notice or "",
        notes=_notes(shown, texts),
        stamp=_stamp(shown, texts),
        observed_at=_iso(shown.observed_at) if shown.observed_at else "",
        strip=_strip(shown, texts),
        accuracy=_accuracy(score, texts),
    )


def _tone(shown: Shown, message: Message) -> str:
    if message.key in ("closed", "unknown"):
        return "closed" if message.key == "closed" else "none"
    if message.key == "saturated" or shown.level is None:
        return "long"
    if shown.bracket_min is None:
        return _TONES[shown.level]
    return "calm" if shown.bracket_min <= 10 else "busy" if shown.bracket_min <= 30 else "long"


def _stamp(shown: Shown, texts: Texts) -> str:
    """When cars were counted, and how the figure came about."""
    if shown.observed_at is None or (shown.wait is None and shown.level is None):
        return ""
    basis = texts(f"basis.{shown.basis.value}")
    return texts("basis.at", basis=basis, at=texts.time(shown.observed_at))


def _notes(shown: Shown, texts: Texts) -> tuple[str, ...]:
    today = shown.now.astimezone(texts.zone).date()
    notes = []
    one = shown.estimate
    ahead = one.people_ahead[0] if one and one.people_ahead else None
    if ahead:
        several = round(ahead) > 1
        notes.append(texts("wait.ahead" if several else "wait.ahead.one", n=round(ahead)))
    if shown.at_least_min is not None:
        notes.append(texts("wait.beyond"))
    if one and one.trend in ("rising", "falling"):
        notes.append(texts(f"trend.{one.trend}"))
    if shown.confidence is not Confidence.NONE:
        notes.append(texts(f"confidence.{shown.confidence.value}"))
    if shown.opens_at:
        notes.append(texts("opens", at=texts.moment(shown.opens_at, today=today)))
    if shown.closes_at:
        notes.append(texts("closes", at=texts.time(shown.closes_at)))
    return tuple(notes)


def _strip(shown: Shown, texts: Texts) -> Strip | None:
    """The slots to come of today, or None where nothing is known of them."""
    slots = _today(shown, texts)
    if len(slots) < 2:
        return None
    told = messages.counts_exits(shown.facility)
    width = WIDTH / len(slots)
    return Strip(
        label=texts("strip.label", name=shown.facility.name),
        begin=texts.time(to_datetime(slots[0].t_us)),
        end=texts.time(to_datetime(slots[-1].t_us)),
        bars=tuple(_bar(slot, n * width, width, told=told) for n, slot in enumerate(slots)),
        rows=tuple(
            (texts.time(to_datetime(slot.t_us)), _words(slot, texts, told=told)) for slot in slots
        ),
        best=_best(slots, texts),
    )


def _best(slots: Sequence[Slot], texts: Texts) -> str:
    """When to come; nothing to choose where there is hardly ever a wait."""
    if all(slot.p80_s <= NO_WAIT_S for slot in slots):
        return texts("strip.calm")
    times = ", ".join(texts.time(to_datetime(slot.t_us)) for slot in best(slots))
    return texts("strip.best", times=times) if times else texts("strip.late")


def _today(shown: Shown, texts: Texts) -> list[Slot]:
    today, now_us = shown.now.astimezone(texts.zone).date(), from_datetime(shown.now)
    return [
        slot
        for slot in outlooks.slots_of(shown.forecasts)
        if slot.t_us >= now_us and to_datetime(slot.t_us).astimezone(texts.zone).date() == today
    ]


def _bar(slot: Slot, x: float, width: float, *, told: bool) -> Bar:
    word = level(slot.p80_s)
    share = min(slot.p80_s / TOP_S, 1.0) if told else _LEVEL_HEIGHTS[word]
    height = max(3.0, share * HEIGHT)
    return Bar(
        x=f"{x + 0.5:.1f}",
        y=f"{HEIGHT - height:.1f}",
        width=f"{max(width - 1.0, 1.0):.1f}",
        height=f"{height:.1f}",
        tone=_TONES[word],
    )


def _words(slot: Slot, texts: Texts, *, told: bool) -> str:
    """The wait of a slot in words; minutes where the site can measure them."""
    if told:
        return messages.of_bracket(bracket_min(slot.p80_s)).text(texts.language.value)
    return Message(level(slot.p80_s).value).text(texts.language.value)


def _accuracy(score: Score | None, texts: Texts) -> str:
    """One line on how good the figures were; nothing before enough of them were scored."""
    if score is None or score.n < LEAST_SCORED:
        return ""
    held = 100 * (1 - score.above_p80 / score.n)
    return texts(
        "accuracy",
        n=texts.number(score.n),
        error=texts.number(score.error_s / score.n / 60, 1),
        held=texts.number(held),
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")
