"""One verified night: each baseline by hand, what the council has off, what a ramp costs."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import msgspec
import pytest

from cloud.lighting.energy import Baseline, CounterSpan, Meter
from cloud.lighting.model import Group, Place
from cloud.lighting.nights import Known, Metered, by_day, judged, over_part_wh
from cloud.lighting.power import CurveSource, PowerCurve
from cloud.lighting.rules import Rule, RuleKind
from cloud.lighting.segment import parse
from cloud.lighting.slots import SLOT_US
from cloud.lighting.store import GroupRecord
from cloud.lighting.traffic import HOUR_US, HourCount, bounds, without_counter
from cloud.lighting.verification import DECLARED_SHARE, METER_SHARE, VerifiedNight
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.time import TimeUs, from_datetime
from tests.lighting_cases import SEGMENT

PARIS = ZoneInfo("Europe/Paris")
EVENING = date(2026, 11, 18)
DUSK = from_datetime(datetime(2026, 11, 18, 18, tzinfo=PARIS))
DAWN = TimeUs(DUSK + 12 * HOUR_US)
CURVE = PowerCurve(10.0, 50.0, 2.0, 500, CurveSource.LAMPS)
"""30 W at half light, 42 W at four fifths."""

GROUP = Group(
    group=GroupId("rue-haute"),
    devices=(DeviceId("a"), DeviceId("b")),
    switch_elevation_deg=-0.833,
    normal_level_pct=80.0,
    factors=(1.0, 0.75, 0.5),
    capacity_per_h=600.0,
    lamp=CURVE,
    baseline_w=344.0,
    ramp_s=60.0,
)
"""Levels 80, 60, 40 %: 42, 34, 26 W a lamp."""

RECORD = GroupRecord(
    group_id=1,
    slug="rue-haute",
    name="Rue Haute",
    territory="val",
    gateway_id=1,
    gateway=GatewayId("cab-1"),
    place=Place(49.5, 5.8, PARIS),
    group=GROUP,
    rated_power_w=50.0,
    baseline=Baseline("SHP 150 W", 172.0, 2, -0.833),
    counter_device_id=7,
    lamp_ids=(1, 2),
    feeder_ids=(3,),
)
PRACTICE = {"name": "50 % de 22 h à 5 h", "from_hour": 22, "until_hour": 5, "level_pct": 50.0}
METERED = Metered(EVENING, 700.0, 10.0, ((DUSK, DAWN),), dead_lamp_h=0.0)
OFF = Rule(
    1,
    RuleKind.EXTINCTION,
    time(0, 0),
    time(4, 0),
    frozenset(range(7)),
    date(2026, 1, 1),
    None,
    "Conseil municipal",
    date(2025, 12, 1),
    "Arrêté 118",
)


def known(*, rules: tuple[Rule, ...] = (), level_pct: float = 40.0) -> Known:
    """The road is empty from midnight on; in the six weeks before the month it always was."""
    hours = range(DUSK, DAWN, HOUR_US)
    month = from_datetime(datetime(2026, 11, 1, 11, tzinfo=UTC))
    before = [HourCount(TimeUs(month - (k + 1) * HOUR_US), 20) for k in range(42 * 24)]
    profile = bounds(before, zone=PARIS, cut_us=month, now_us=month)
    return Known(
        counts={t: 500 if t < DUSK + 6 * HOUR_US else 20 for t in hours},
        levels=dict.fromkeys(range(DUSK, DAWN, SLOT_US), level_pct),
        rules=rules,
        profiles={date(2026, 11, 1): profile},
    )


def baselines(night: VerifiedNight) -> dict[str, float]:
    return {one.baseline: one.kwh for one in night.against}


def test_every_baseline_of_a_night_is_what_its_name_says() -> None:
    practised = parse({**SEGMENT, "existing_practice": PRACTICE})
    record = replace(RECORD, segment=practised)
    night = judged(record, METERED, known(), Meter.FEEDER)
    ramp_kwh = 2 * (42.0 - 26.0) / 2 * 60 / 3600 / 1000
    assert baselines(night) == pytest.approx(
        {
            "B0": 344.0 * 12 / 1000,
            "B1": 2 * 50.0 * 12 / 1000,
            "B2": 2 * (50.0 * 5 + 30.0 * 7) / 1000,
            "B3": 2 * 26.0 * 12 / 1000,
            "bound": 2 * (42.0 * 6 + 26.0 * 6) / 1000 + ramp_kwh,
        }
    )
    assert night.measured_kwh == pytest.approx(0.7)
    assert night.standby_kwh == pytest.approx(0.01)
    assert night.normal_kwh == night.decided_kwh == pytest.approx(2 * 42.0 * 12 / 1000)
    assert night.light.under_minutes == {2: 360.0}
    assert night.light.hours_at == (0.0, 0.0, 12.0)
    errors = {one.baseline: one.power_share for one in night.against}
    learned = (METER_SHARE**2 + (2.0 * 2**0.5 / 100) ** 2) ** 0.5
    assert errors["B0"] == DECLARED_SHARE
    assert errors["B1"] == errors["bound"] == pytest.approx(learned)


def test_without_a_counter_and_a_practice_there_are_two_baselines() -> None:
    alone = replace(RECORD, counter_device_id=None)
    assert list(baselines(judged(alone, METERED, known(), Meter.LAMPS))) == ["B0", "B1"]


def test_a_profile_of_which_nothing_was_counted_is_no_baseline() -> None:
    nothing = replace(known(), profiles={date(2026, 11, 1): without_counter(PARIS)})
    found = baselines(judged(RECORD, METERED, nothing, Meter.FEEDER))
    assert list(found) == ["B0", "B1", "bound"]


def test_half_of_the_lamps_dead_is_half_of_every_baseline() -> None:
    dead = replace(METERED, dead_lamp_h=12.0)
    whole, half = (judged(RECORD, m, known(), Meter.FEEDER) for m in (METERED, dead))
    for name, kwh in baselines(whole).items():
        assert baselines(half)[name] == pytest.approx(kwh / 2)
    assert half.normal_kwh == pytest.approx(whole.normal_kwh / 2)


def test_what_the_council_has_off_is_a_step_of_its_own_until_it_was_ended() -> None:
    ended = replace(OFF, ended_us=TimeUs(DUSK + 8 * HOUR_US))
    whole, part = (
        judged(RECORD, METERED, known(rules=(rule,), level_pct=0.0), Meter.FEEDER)
        for rule in (OFF, ended)
    )
    assert whole.decided_kwh == pytest.approx(2 * (42.0 * 8 + 0.4 * 4) / 1000)
    assert part.decided_kwh == pytest.approx(2 * (42.0 * 10 + 0.4 * 2) / 1000)
    assert (whole.light.extinguished_h, whole.light.off_h) == (4.0, 8.0)
    assert (part.light.extinguished_h, part.light.off_h) == (2.0, 10.0)


def test_standby_is_read_well_away_from_dusk_and_dawn() -> None:
    noon, next_noon = TimeUs(DUSK - 6 * HOUR_US), TimeUs(DAWN + 6 * HOUR_US)
    parts = by_day((noon, next_noon), [(DUSK, DAWN)])
    assert [end - begin for begin, end in parts] == [6 * HOUR_US - SLOT_US] * 2
    before, _ = parts
    counter = CounterSpan(TimeUs(noon + SLOT_US), TimeUs(noon + SLOT_US + 5 * HOUR_US), 100.0, 0)
    assert over_part_wh(before, [counter, counter]) == pytest.approx(2 * 120.0)
    assert over_part_wh(before, [replace(counter, last_us=counter.first_us)]) == 0.0
    assert by_day((noon, next_noon), [(noon, next_noon)]) == []


def test_a_night_is_kept_as_it_was() -> None:
    night = judged(RECORD, METERED, known(), Meter.FEEDER)
    stored = msgspec.json.decode(msgspec.json.encode(night))
    assert msgspec.convert(stored, VerifiedNight, str_keys=True) == night
