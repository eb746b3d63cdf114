"""From the snapshot to what the templates print: texts, paths and tones, no decisions left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from cloud.lighting.energy import MIN_COVERAGE_PCT, NightEnergy
from cloud.lighting.model import dark_intervals
from cloud.lighting.service import TREND_HOURS, TREND_SAMPLE
from cloud.lighting.slots import SLOT_US
from cloud.lighting.store import GroupRecord, GroupState, TrendPoint
from cloud.portal import sparkline
from cloud.portal.snapshot import Snapshot
from cloud.portal.texts import Texts
from cloud.portal.waits import WaitCard, wait_card
from protocols.time import to_datetime

SLOTS = TREND_HOURS * 4
SLOTS_AN_HOUR = 4
NBSP = "\u00a0"
"""Between a number and its unit."""


@dataclass(frozen=True, slots=True)
class LightCard:
    """One lighting group with its last day."""

    name: str
    level: str
    power: str
    lit: bool
    reporting: str
    failed: str
    label: str
    area: str
    line: str
    nights: tuple[tuple[str, str], ...]
    """Dark bands: x and width in view-box units."""
    hours: tuple[tuple[str, str, str], ...]
    """Hour, level, power: the table that stands for the picture."""
    top: str


@dataclass(frozen=True, slots=True)
class NightRow:
    """One night of all groups with the same baseline; bars in view-box units (0..100)."""

    night: str
    iso: str
    measured: str
    baseline: str
    saving: str
    measured_bar: str
    baseline_bar: str


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """The nights against one declared baseline."""

    against: str
    headline: str
    rows: tuple[NightRow, ...]


@dataclass(frozen=True, slots=True)
class DataStrip:
    """The last hour of the ledger."""

    rows: str
    lag: str
    lag_note: str
    quarantined: str
    last: str


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    territory: str
    waits: tuple[WaitCard, ...]
    lights: tuple[LightCard, ...]
    sample_note: str
    energy: tuple[EnergyTable, ...]
    partial_note: str
    data: DataStrip
    updated: str


def page(snapshot: Snapshot, texts: Texts) -> Page:
    """Everything the templates print."""
    now = to_datetime(snapshot.now_us)
    return Page(
        territory=", ".join(t.name for t in snapshot.territories) or "Eclor",
        waits=tuple(
            wait_card(shown, snapshot.slow.scores.get(shown.facility.facility_id), texts)
            for shown in snapshot.waits
        ),
        lights=tuple(
            light_card(
                group,
                snapshot.states.get(group.group_id),
                snapshot.slow.trends.get(group.group_id, ()),
                snapshot.slow.read_us,
                texts,
            )
            for group in snapshot.groups
        ),
        sample_note=texts("trend.sample", n=TREND_SAMPLE),
        energy=energy_tables(snapshot.slow.energies, texts),
        partial_note=texts("energy.partial", pct=f"{MIN_COVERAGE_PCT:.0f}"),
        data=_data_strip(snapshot, texts),
        updated=texts("updated", at=texts.time(now)),
    )


def light_card(
    group: GroupRecord,
    state: GroupState | None,
    trend: Sequence[TrendPoint],
    read_us: int,
    texts: Texts,
) -> LightCard:
    """Present level and power, and the last 24 hours as two paths and a table."""
    end_us = read_us - read_us % SLOT_US + SLOT_US
    levels, powers = _slots(group, trend, end_us)
    top_w = max([p for p in powers if p is not None] + [group.rated_power_w * len(group.lamp_ids)])
    level = state.level_pct if state else None
    reporting = state.reporting if state else 0
    return LightCard(
        name=group.name,
        level=_level(level, texts),
        power=_power(state.power_w if state else None, texts),
        lit=bool(level),
        reporting=texts("lights.reporting", n=reporting, all=len(group.lamp_ids)),
        failed=texts("lights.failed", n=state.failed) if state and state.failed else "",
        label=texts("trend.label", name=group.name),
        area=sparkline.area(powers, most=top_w),
        line=sparkline.step_line(levels, most=100.0),
        nights=_night_bands(group, end_us),
        hours=_hours(levels, powers, end_us, texts),
        top=texts("trend.top", top=f"100{NBSP}% · {_power(top_w, texts)}"),
    )


def energy_tables(
    energies: Mapping[int, Sequence[NightEnergy]], texts: Texts
) -> tuple[EnergyTable, ...]:
    """Groups with the same baseline are added up, others are not."""
    by_baseline: dict[str, dict[date, list[NightEnergy]]] = defaultdict(lambda: defaultdict(list))
    for nights in energies.values():
        for one in nights:
            by_baseline[one.baseline_name][one.night].append(one)
    return tuple(_energy_table(name, found, texts) for name, found in sorted(by_baseline.items()))


def _slots(
    group: GroupRecord, trend: Sequence[TrendPoint], end_us: int
) -> tuple[list[float | None], list[float | None]]:
    """Level in % and power in W of the group for the SLOTS quarters of an hour up to `end_us`."""
    by_slot = {point.slot: point for point in trend}
    starts = [to_datetime(end_us - (SLOTS - i) * SLOT_US) for i in range(SLOTS)]
    found = [by_slot.get(start) for start in starts]
    levels = [point.level_pct if point else None for point in found]
    lamp_w = [point.lamp_power_w if point else None for point in found]
    return levels, [None if w is None else w * len(group.lamp_ids) for w in lamp_w]


def _night_bands(group: GroupRecord, end_us: int) -> tuple[tuple[str, str], ...]:
    begin_us = end_us - SLOTS * SLOT_US
    dark = dark_intervals(
        begin_us, end_us, angle_deg=group.group.switch_elevation_deg, place=group.place
    )
    scale = sparkline.WIDTH / (SLOTS * SLOT_US)
    return tuple((f"{(a - begin_us) * scale:.1f}", f"{(b - a) * scale:.1f}") for a, b in dark)


def _hours(
    levels: Sequence[float | None], powers: Sequence[float | None], end_us: int, texts: Texts
) -> tuple[tuple[str, str, str], ...]:
    rows = []
    for first in range(0, SLOTS, SLOTS_AN_HOUR):
        level = _mean(levels[first : first + SLOTS_AN_HOUR])
        power = _mean(powers[first : first + SLOTS_AN_HOUR])
        start = to_datetime(end_us - (SLOTS - first) * SLOT_US)
        if level is not None or power is not None:
            rows.append((texts.time(start), _level(level, texts), _power(power, texts)))
    return tuple(rows)


def _energy_table(
    name: str, by_night: Mapping[date, Sequence[NightEnergy]], texts: Texts
) -> EnergyTable:
    comparable = [
        one for nights in by_night.values() for one in nights if one.saving_pct is not None
    ]
    totals = {night: _total(found) for night, found in by_night.items()}
    top_wh = max([wh for total in totals.values() for wh in total if wh is not None], default=0.0)
    rows = tuple(
        _night_row(night, by_night[night], totals[night], top_wh, texts)
        for night in sorted(by_night, reverse=True)
    )
    return EnergyTable(
        against=texts("energy.against", baseline=name),
        headline=_saving_headline(comparable, texts),
        rows=rows,
    )


def _saving_headline(nights: Sequence[NightEnergy], texts: Texts) -> str:
    saving = _saving_pct(nights)
    if saving is None:
        return texts("energy.nothing")
    key = "energy.headline" if saving >= 0 else "energy.more"
    return texts(key, pct=texts.number(abs(saving)))


def _saving_pct(nights: Sequence[NightEnergy]) -> float | None:
    """Of nights that are metered well enough; None where there is none."""
    measured = sum(one.measured_wh or 0.0 for one in nights)
    baseline = sum(one.baseline_wh or 0.0 for one in nights)
    return 100.0 * (1 - measured / baseline) if baseline > 0 else None


def _total(nights: Sequence[NightEnergy]) -> tuple[float | None, float | None]:
    metered = [one for one in nights if one.measured_wh is not None]
    if not metered:
        return None, None
    measured = sum(one.measured_wh or 0.0 for one in metered)
    return measured, sum(one.baseline_wh or 0.0 for one in metered)


def _night_row(
    night: date,
    groups: Sequence[NightEnergy],
    total: tuple[float | None, float | None],
    top_wh: float,
    texts: Texts,
) -> NightRow:
    saving = _saving_pct(groups) if all(one.saving_pct is not None for one in groups) else None
    running = "" if all(one.complete for one in groups) else f" ({texts('energy.running')})"
    shown = "–" if saving is None else f"{_signed(-saving, texts)}{NBSP}%"
    return NightRow(
        night=texts.night(night) + running,
        iso=night.isoformat(),
        measured=_kwh(total[0], texts),
        baseline=_kwh(total[1], texts),
        saving=shown,
        measured_bar=_bar(total[0], top_wh),
        baseline_bar=_bar(total[1], top_wh),
    )


def _data_strip(snapshot: Snapshot, texts: Texts) -> DataStrip:
    ledger = snapshot.ledger
    last = ledger.last_received_at
    return DataStrip(
        rows=texts.number(ledger.rows_stored),
        lag=_seconds(ledger.lag_p50_s, texts),
        lag_note=texts("data.lag", p99=_seconds(ledger.lag_p99_s, texts)),
        quarantined=texts.number(ledger.quarantined),
        last=last.astimezone(texts.zone).strftime("%H:%M:%S") if last else texts("data.none"),
    )


def _level(level_pct: float | None, texts: Texts) -> str:
    if level_pct is None:
        return texts("lights.silent")
    return f"{texts.number(level_pct)}{NBSP}%" if level_pct >= 0.5 else texts("lights.off")


def _power(power_w: float | None, texts: Texts) -> str:
    if power_w is None:
        return "–"
    if power_w < 1000:
        return f"{texts.number(power_w)}{NBSP}W"
    return f"{texts.number(power_w / 1000, 2)}{NBSP}kW"


def _kwh(energy_wh: float | None, texts: Texts) -> str:
    return "–" if energy_wh is None else texts.number(energy_wh / 1000, 1)


def _seconds(value: float | None, texts: Texts) -> str:
    return "–" if value is None else f"{texts.number(value, 1)}{NBSP}s"


def _signed(value: float, texts: Texts) -> str:
    sign = "−" if value < 0 else "+"
    return f"{sign}{texts.number(abs(value))}"


def _bar(value: float | None, top: float) -> str:
    return "0" if not value or not top else f"{100 * value / top:.1f}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
