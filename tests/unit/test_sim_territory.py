"""The demonstration territory as others read it, and the world as a whole."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from firmware_sim import civil, running, truth, units
from firmware_sim.errors import ScenarioError
from firmware_sim.history import rounding, write_trace
from firmware_sim.scenario import SiteKind, Territory
from firmware_sim.territory import demo_territory
from firmware_sim.world import SiteWorld, World
from protocols import registers
from protocols.ids import GatewayId, device_id, gateway_id
from protocols.profile import builtin, builtin_names
from protocols.time import US_PER_S, TimeUs, from_datetime

MINUTE = 60 * US_PER_S
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_772_409_600 * US_PER_S  # Monday 2026-03-02 00:00 UTC
CABINET = gateway_id("cab-centre-1")
CENTRE = gateway_id("dech-nord-1")


class StillClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now_us(self) -> TimeUs:
        return TimeUs(START)

    def monotonic_s(self) -> float:
        return self.seconds


def test_the_territory_has_what_the_demonstration_promises() -> None:
    territory = demo_territory(1)
    kinds = Counter(site.kind for site in territory.sites)
    assert kinds == {SiteKind.CABINET: 3, SiteKind.RECYCLING_CENTRE: 2, SiteKind.ROAD: 1}
    assert sum(len(site.cabinet.lamps) for site in territory.sites if site.cabinet) == 120
    assert sum(len(site.counters) for site in territory.sites) == 4
    assert sum(site.facility is not None for site in territory.sites) == 2


def test_lighting_groups_name_lamps_and_a_counter_of_their_gateway() -> None:
    for site in demo_territory(1).sites:
        names = set(site.gateway.device_names())
        for group in site.groups:
            assert set(group.devices) <= names
            assert group.counter in names
            assert group.baseline_power_w > group.rated_power_w


def test_at_any_minute_of_the_week_a_centre_is_open_but_for_ten_at_midnight() -> None:
    paris = civil.CivilTime("Europe/Paris")
    hours = [site.facility.opening for site in demo_territory(1).sites if site.facility]
    closed = 0
    for minute in range(7 * 24 * 60):
        t_us = START + minute * MINUTE
        day = paris.local(t_us).date()
        spans = [span for opening in hours for span in paris.openings(day, opening)]
        closed += not any(begin <= t_us < end for begin, end in spans)
    assert closed == 7 * 10


def test_all_units_of_the_territory_can_be_served() -> None:
    world = World(demo_territory(1), START)
    count = 0
    for site in world.sites():
        count += len(units.responders(site, lambda: TimeUs(START)))
    assert count == 3 + 3 + 4 + 2 + 1


@pytest.mark.parametrize("meter", ["socomec-countis-e34", "gavazzi-em340"])
def test_any_of_the_meters_can_stand_at_a_cabinet(meter: str) -> None:
    territory = demo_territory(1)
    site = territory.site_of(CABINET)
    feeder = replace(site.gateway.devices[0], profile=meter)
    gateway = replace(site.gateway, devices=(feeder, *site.gateway.devices[1:]))
    units.responders(
        SiteWorld(replace(site, gateway=gateway), territory, START), lambda: TimeUs(START)
    )


def test_a_device_that_measures_nothing_is_named() -> None:
    territory = demo_territory(1)
    site = territory.site_of(CENTRE)
    stray = replace(site.gateway.devices[0], name="stray", first_index=5, last_index=5)
    gateway = replace(site.gateway, devices=(*site.gateway.devices, stray))
    with pytest.raises(ScenarioError, match="stray"):
        SiteWorld(replace(site, gateway=gateway), territory, START)


def test_a_profile_that_does_not_fit_the_device_is_named() -> None:
    territory = demo_territory(1)
    site = territory.site_of(CENTRE)
    wrong = tuple(replace(spec, profile="eclor-luminaire") for spec in site.gateway.devices)
    gateway = replace(site.gateway, devices=wrong)
    world = SiteWorld(replace(site, gateway=gateway), territory, START)
    with pytest.raises(ScenarioError, match="eclor-luminaire"):
        units.responders(world, lambda: TimeUs(START))


def test_an_unknown_profile_time_zone_or_gateway_is_a_clear_fault() -> None:
    territory = demo_territory(1)
    with pytest.raises(ScenarioError, match="Europe/Nowhere"):
        World(replace(territory, time_zone="Europe/Nowhere"), START)
    with pytest.raises(ScenarioError, match="cab-centre-1"):
        World(territory, START).site(GatewayId("cab-nowhere"))
    with pytest.raises(ScenarioError, match="speed"):
        running.WorldClock(StillClock(), speed=0)


def test_world_time_runs_at_its_speed_from_the_wall_clock() -> None:
    clock = StillClock()
    world_clock = running.WorldClock(clock, speed=60)
    clock.seconds = 2.5
    assert world_clock.now_us() == START + 150 * US_PER_S


def trace(path: Path, *, seed: int = 3, gateway: GatewayId = CABINET, hours: int = 30) -> World:
    world = World(demo_territory(seed), START)
    write_trace(world, gateway, path, from_us=START, to_us=START + hours * HOUR)
    return world


def test_the_same_seed_gives_the_same_trace_to_the_byte(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        trace(tmp_path / name, seed=seed)
    one, two, other = ((tmp_path / name).read_bytes() for name in ("one", "two", "other"))
    assert one == two
    assert one != other


def test_a_trace_ascends_and_holds_every_device_at_its_interval(tmp_path: Path) -> None:
    trace(tmp_path / "trace", hours=2)
    rows = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    times = [row["t_us"] for row in rows]
    assert times == sorted(times)
    counts = Counter(row["device"] for row in rows)
    assert counts["lamp-00"] == counts["lamp-39"] == 24
    assert counts["feeder"] == counts["road"] == counts["cabinet"] == 120
    assert rows[0]["t_us"] == START
    assert times[-1] == START + 2 * HOUR - MINUTE


def test_a_trace_of_a_past_that_the_world_has_left_is_refused(tmp_path: Path) -> None:
    world = trace(tmp_path / "trace", hours=1)
    with pytest.raises(ValueError, match="beyond the start"):
        write_trace(world, CABINET, tmp_path / "again", from_us=START, to_us=START + HOUR)


@pytest.mark.parametrize(
    ("noon_before", "hours"), [("2026-03-28T12:00:00+00:00", 23), ("2026-10-24T12:00:00+00:00", 25)]
)
def test_counting_goes_on_through_both_nights_of_the_clock_change(
    noon_before: str, hours: int
) -> None:
    start = from_datetime(datetime.fromisoformat(noon_before))
    paris = civil.CivilTime("Europe/Paris")
    sunday = civil.next_day(paris.local(start).date())
    length = paris.midnight(civil.next_day(sunday)) - paris.midnight(sunday)
    assert length == hours * HOUR
    territory = demo_territory(2)
    for gateway, quantity in (("dech-sud-1", "tail"), ("route-rocade-1", "true_forward")):
        site = SiteWorld(territory.site_of(gateway_id(gateway)), territory, start)
        totals: list[int] = []
        for step in range(48 * 4):
            site.advance(start + step * 15 * MINUTE)
            (record,) = site.truth()
            total = record[quantity]
            assert isinstance(total, int)
            totals.append(total)
        assert totals == sorted(totals)
        quarter_hours = [later - first for first, later in pairwise(totals)]
        assert max(quarter_hours) < 6 * (totals[-1] - totals[0]) / len(quarter_hours) + 5


def test_lamps_follow_the_plan_in_the_trace(tmp_path: Path) -> None:
    trace(tmp_path / "trace", hours=24)
    rows = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    paris = civil.CivilTime("Europe/Paris")
    levels: dict[int, set[float]] = {}
    for row in rows:
        if row["device"].startswith("lamp") and row["values"]["status"] == 0:
            hour = paris.local(row["t_us"]).hour
            levels.setdefault(hour, set()).add(row["values"]["level"])
    assert levels[12] == {0.0}  # day
    assert levels[20] == {100.0}  # evening
    assert levels[2] == levels[23] == {50.0}  # night


def test_the_trace_names_the_points_of_the_profiles(tmp_path: Path) -> None:
    trace(tmp_path / "trace", hours=1)
    rows = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    by_device = {row["device"]: set(row["values"]) for row in rows}
    for device, profile in (("feeder", "eastron-sdm630"), ("road", "eclor-gate")):
        points = builtin(profile).points
        assert by_device[device] == {point.name for point in points if point.column}


def test_live_registers_go_on_where_the_trace_ends(tmp_path: Path) -> None:
    world = trace(tmp_path / "trace")
    rows = [json.loads(line) for line in (tmp_path / "trace").read_text().splitlines()]
    last = {row["device"]: row for row in rows}
    site = world.site(CABINET)
    assert site.t_us == START + 30 * HOUR
    for spec in site.spec.gateway.devices:
        for device, _ in spec.devices():
            live = site.quantities(device)
            for point in builtin(spec.profile).points:
                if not point.integral or point.column in (None, "status"):
                    continue
                value = units.shown(point, live)
                now = registers.decode(point, registers.encode(point, value))
                before = last[device]["values"][point.name]
                assert isinstance(now, int)
                assert 0 <= now - before < 1500, (device, point.name)


def test_fast_rounding_is_what_a_register_does() -> None:
    checked = 0
    for name in builtin_names():
        for point in builtin(name).points:
            if point.curve == "schneider-pf" or point.type.is_number is False:
                continue
            for value in (0, 1, 0.1234, 7.25, 31.97) + ((7_654_321,) if point.integral else ()):
                given = int(value) if point.integral else value
                exact = registers.decode(point, registers.encode(point, given))
                assert rounding(point)(given) == pytest.approx(exact, abs=6e-4), point.name
                checked += 1
    assert checked > 100


def test_truth_tells_waits_cars_counts_and_lamps() -> None:
    world = World(demo_territory(2), START)
    noon = START + 11 * HOUR
    records = [
        json.loads(line)
        for site in world.sites()
        for line in truth.lines(site, from_us=noon, to_us=noon + HOUR)
    ]
    kinds = Counter(record["what"] for record in records)
    assert kinds["lamp"] == 120 * 60
    assert kinds["road"] == 4 * 60
    assert kinds["facility"] == 2 * 60
    visits = [record for record in records if record["what"] == "visit"]
    assert len(visits) > 20
    assert all(noon <= visit["t_us"] < noon + HOUR for visit in visits)


def test_true_queue_and_bays_agree_with_the_true_counters() -> None:
    territory: Territory = demo_territory(2)
    site = World(territory, START).site(CENTRE)
    busiest = 0
    for minute in range(7 * 60, 20 * 60, 5):
        site.advance(START + minute * MINUTE)
        (record,) = site.truth()
        tail, entry, left = (record[f"true_{name}"] for name in ("tail", "entry", "exit"))
        assert isinstance(tail, int)
        assert isinstance(entry, int)
        assert isinstance(left, int)
        assert entry - left == record["busy_bays"]
        if record["open"]:
            assert tail - entry == record["queue"]
        busiest = max(busiest, entry - left)
    assert busiest == 6


def test_road_counts_follow_hour_and_weekday() -> None:
    territory = demo_territory(2)
    site = SiteWorld(territory.site_of(gateway_id("route-rocade-1")), territory, START)
    totals: list[int] = []
    record: dict[str, object] = {}
    for hour in range(7 * 24 + 1):
        site.advance(START + hour * HOUR)
        (record,) = site.truth()
        forward, backward = record["true_forward"], record["true_backward"]
        assert isinstance(forward, int)
        assert isinstance(backward, int)
        totals.append(forward + backward)
    hourly = [later - first for first, later in pairwise(totals)]
    monday, sunday = hourly[:23], hourly[6 * 24 : 6 * 24 + 23]
    assert 11_000 < sum(monday) < 18_000
    assert sum(sunday) < 0.85 * sum(monday)
    assert hourly[16] > 8 * hourly[2]  # 17:00 and 03:00 in Paris
    assert site.quantities(device_id("road"))["forward_total"] != record["true_forward"]
