"""Faults of the simulator: catalogue, what devices show, plans in world time, scenario files."""

import json
import re
from pathlib import Path

import pytest

from firmware_sim import truth
from firmware_sim.errors import ScenarioError
from firmware_sim.fault_file import parse_fault_plan
from firmware_sim.faults import CATALOGUE, Fault, FaultKind, fault
from firmware_sim.outbreak import Target
from firmware_sim.running import Serial, Tcp, check_medium
from firmware_sim.server import Framing
from firmware_sim.territory import demo_territory
from firmware_sim.world import SiteWorld, World
from protocols.ids import DeviceId, GatewayId
from protocols.time import US_PER_S

NIGHT = 1_767_222_000 * US_PER_S  # 2025-12-31 23:00 UTC
CABINET = GatewayId("cab-centre-1")
METER = DeviceId("feeder")
ROAD = DeviceId("road-counter")
DOC = Path(__file__).parents[2] / "docs/firmware-sim.md"


@pytest.fixture
def site() -> SiteWorld:
    return World(demo_territory(1), NIGHT).site(CABINET)


def later(site: SiteWorld, seconds: float) -> None:
    site.advance(site.t_us + round(seconds * US_PER_S))


def have(
    site: SiteWorld, made: Fault, device: DeviceId = METER, *, for_s: float | None = None
) -> int:
    number = site.faults.plan(Target(device), made, at_us=site.t_us, for_s=for_s)
    site.advance(site.t_us)
    return number


def told(site: SiteWorld, name: str, device: DeviceId = METER) -> float:
    value = site.told(device)[name]
    assert isinstance(value, int | float)
    return value


def true(site: SiteWorld, name: str, device: DeviceId = METER) -> float:
    value = site.quantities(device)[name]
    assert isinstance(value, int | float)
    return value


def road_of(site: SiteWorld) -> DeviceId:
    return next(counter.device for counter in site.spec.counters)


@pytest.mark.parametrize(
    ("kind", "given", "told_user"),
    [
        ("silnt", {}, "fault = 'silnt': use one of silent, slow"),
        ("silent", {"seconds": 1}, "seconds = 1: fault silent has no settings; leave it out"),
        ("exception", {"code": 7}, "code = 7: use one of (1, 2, 3, 4, 5, 6, 10, 11)"),
        ("hole", {"first": 3}, "last is missing: fault hole needs it"),
        ("hole", {"first": 3, "last": 2}, "last = 2: give at least first, 3"),
        ("late", {"seconds": -1}, "seconds = -1: give a number 0..86400"),
        ("late", {"share": 2}, "share = 2: give a number 0..1"),
        ("stuck", {"share": 0.5}, "share = 0.5: stuck is not about requests; leave it out"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_its_remedy(
    kind: str, given: dict[str, float], told_user: str
) -> None:
    with pytest.raises(ScenarioError, match=f"^{re.escape(told_user)}"):
        fault(kind, **given)


def test_every_kind_is_in_the_catalogue_and_in_the_documentation() -> None:
    assert set(CATALOGUE) == set(FaultKind)
    rows = re.findall(
        r"^\| `([a-z_]+)` \| (frame|values|event) \|", DOC.read_text(encoding="utf-8"), re.M
    )
    assert rows == [(kind.value, entry.where.value) for kind, entry in CATALOGUE.items()]


def test_a_stuck_device_shows_what_it_showed_when_it_began(site: SiteWorld) -> None:
    before = true(site, "energy_import_wh")
    number = have(site, fault("stuck"))
    later(site, 3_600)
    assert told(site, "energy_import_wh") == before < true(site, "energy_import_wh")
    site.faults.end(number, site.t_us)
    assert told(site, "energy_import_wh") == true(site, "energy_import_wh")


def test_counters_read_zero_for_a_while_and_go_on_as_before(site: SiteWorld) -> None:
    have(site, fault("counter_zero"), for_s=10)
    assert told(site, "energy_import_wh") == 0
    assert told(site, "power_w") == true(site, "power_w")
    later(site, 10)
    assert told(site, "energy_import_wh") == true(site, "energy_import_wh")


@pytest.mark.parametrize(
    ("kind", "settings", "start"),
    [("counter_reset", {}, 0), ("meter_swap", {"count": 777}, 777)],
)
def test_a_counter_goes_on_from_another_count(
    site: SiteWorld, kind: str, settings: dict[str, float], start: int
) -> None:
    have(site, fault(kind, **settings))
    before = true(site, "energy_import_wh")
    assert told(site, "energy_import_wh") == start
    later(site, 3_600)
    gained = true(site, "energy_import_wh") - before
    assert gained > 0
    assert told(site, "energy_import_wh") == pytest.approx(start + gained)


def test_a_counter_stands_just_below_the_top_of_its_register(site: SiteWorld) -> None:
    road = road_of(site)
    have(site, fault("counter_wrap", count=3), road)
    assert told(site, "forward_total", road) == 2**32 - 3


def test_a_clock_that_jumps_books_energy_that_never_was(site: SiteWorld) -> None:
    energy, power = told(site, "energy_import_wh"), told(site, "power_w")
    have(site, fault("clock_jump", seconds=1_800))
    assert told(site, "energy_import_wh") == pytest.approx(energy + power / 2)


def test_a_clock_that_is_set_back_books_nothing_until_it_has_caught_up(site: SiteWorld) -> None:
    energy = told(site, "energy_import_wh")
    have(site, fault("clock_jump", seconds=-1_800))
    later(site, 1_799)
    assert told(site, "energy_import_wh") == energy
    later(site, 1)
    caught_up = true(site, "energy_import_wh")
    assert told(site, "energy_import_wh") == pytest.approx(energy)
    later(site, 600)
    gained = true(site, "energy_import_wh") - caught_up
    assert told(site, "energy_import_wh") == pytest.approx(energy + gained)


def test_lamps_are_at_their_power_on_level_after_a_reboot(site: SiteWorld) -> None:
    assert site.spec.cabinet
    assert site.cabinet
    lamp = next(name for name in site.spec.cabinet.lamps if site.quantities(name)["status"] == 0)
    site.write(lamp, "level_pct", 40.0)
    have(site, fault("reboot"), lamp)
    unit = next(u.unit for u in site.spec.gateway.devices if "lamp" in u.name)
    assert [f.kind for f in site.faults.of_unit(unit)] == [FaultKind.REBOOT]
    later(site, 5)
    assert not site.faults.of_unit(unit)
    assert told(site, "level_pct", lamp) == 100


@pytest.mark.parametrize(
    ("target", "kind", "told_user"),
    [
        (Target(DeviceId("nobody")), "silent", "device = 'nobody': no such device; there are"),
        (Target(unit=77), "silent", "unit = 77: no such unit; there are 1, 2, 4"),
        (Target(DeviceId("feeder")), "counter_wrap", "gives energy_import_wh no counter_bits"),
        (Target(unit=4), "clock_jump", "clock_jump: it books nothing by its clock"),
    ],
)
def test_a_target_that_cannot_have_the_fault_is_named(
    site: SiteWorld, target: Target, kind: str, told_user: str
) -> None:
    with pytest.raises(ScenarioError, match=told_user):
        site.faults.plan(target, fault(kind), at_us=site.t_us, for_s=None)


def test_a_fault_of_the_frame_is_that_of_the_whole_unit(site: SiteWorld) -> None:
    have(site, fault("late", seconds=1.0), DeviceId("feeder"))
    assert [f.kind for f in site.faults.of_unit(1)] == [FaultKind.LATE]
    assert not site.faults.of_unit(2)


def test_a_fault_that_is_over_cannot_be_ended(site: SiteWorld) -> None:
    number = have(site, fault("silent"), for_s=1)
    later(site, 1)
    with pytest.raises(ScenarioError, match=f"no fault {number} is active; there are none"):
        site.faults.end(number, site.t_us)


def test_faults_begin_in_their_own_time_whatever_the_steps_of_the_world() -> None:
    shown = []
    for steps in (1, 7, 60):
        site = World(demo_territory(1), NIGHT).site(CABINET)
        plan = ((600, "counter_reset"), (1_200, "stuck"), (2_400, "meter_swap"))
        for at_s, kind in plan:
            site.faults.plan(Target(METER), fault(kind), at_us=NIGHT + at_s * US_PER_S, for_s=300)
        for step in range(1, steps + 1):
            site.advance(NIGHT + 3_600 * US_PER_S * step // steps)
        shown.append(told(site, "energy_import_wh"))
        assert len(site.faults.past) == 3
    assert shown[0] == pytest.approx(shown[1]) == pytest.approx(shown[2])


@pytest.mark.parametrize(
    ("kind", "medium", "allowed"),
    [
        ("bad_crc", Tcp(), False),
        ("bad_crc", Tcp(Framing.RTU), True),
        ("bad_crc", Serial(), True),
        ("mbap_length", Tcp(), True),
        ("mbap_length", Tcp(Framing.RTU), False),
        ("hang_up", Tcp(Framing.RTU), True),
        ("hang_up", Serial(), False),
        ("silent", Serial(), True),
    ],
)
def test_a_medium_has_only_the_faults_that_it_can_show(
    kind: str, medium: Tcp | Serial, *, allowed: bool
) -> None:
    if allowed:
        check_medium(fault(kind), medium)
    else:
        with pytest.raises(ScenarioError, match=f"^{kind}: "):
            check_medium(fault(kind), medium)


PLAN = """
[[fault]]
gateway = "cab-centre-1"
device = "feeder"
fault = "stuck"
at_s = 60
for_s = 90.5

[[fault]]
gateway = "cab-centre-1"
unit = 2
fault = "exception"
code = 10
share = 0.25

[[random]]
gateway = "dech-nord-1"
faults = ["silent", "garbage"]
every_s = 60
for_s = 10
until_s = 3600
"""


def test_a_scenario_file_is_played_and_the_truth_tells() -> None:
    world = World(demo_territory(1), NIGHT)
    parse_fault_plan(PLAN, source="storm.toml").begin(world)
    records = [
        json.loads(line)
        for line in truth.lines(world.site(CABINET), from_us=NIGHT, to_us=NIGHT + 300 * US_PER_S)
    ]
    seen = [
        f"{(row['t_us'] - NIGHT) // US_PER_S} {row['fault']} {row['device']} {row['unit']}"
        for row in records
        if row["what"] == "fault"
    ]
    exceptions = [f"{t} exception None 2" for t in (0, 60, 120, 180, 240)]
    stuck = [f"{t} stuck feeder None" for t in (60, 120, 180)]
    assert sorted(seen) == sorted(exceptions + stuck)
    record = next(row for row in records if row.get("fault") == "exception")
    assert (record["code"], record["share"], record["until_us"]) == (10, 0.25, None)


def test_the_same_seed_draws_the_same_random_faults() -> None:
    plan = parse_fault_plan(PLAN, source="storm.toml")
    first, again, other = (list(plan.faults(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert 30 < len(first) < 100
    assert {line.fault.kind for line in first[2:]} == {FaultKind.SILENT, FaultKind.GARBAGE}


def test_every_error_of_a_scenario_file_is_told_at_once() -> None:
    text = """
speed = 3
[[fault]]
gateway = "cab-centre-1"
device = "feeder"
unit = 1
fault = "silnt"
at_s = -1

[[fault]]
fault = "exception"
gateway = "cab-centre-1"
code = 9

[[random]]
gateway = "cab-centre-1"
faults = ["hole"]
every_s = 60
until_s = 60
"""
    with pytest.raises(ScenarioError) as caught:
        parse_fault_plan(text, source="storm.toml")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        "fault[1].fault = 'silnt'",
        "fault[1].unit = 1",
        "fault[1].at_s = -1",
        "fault[2].code = 9",
        "random[1].faults = ['hole']",
        "random[1].for_s",
        "speed = 3",
    ]
    assert "did you mean silent?" in lines[0]


@pytest.mark.parametrize(
    ("text", "told_user"),
    [
        ("[[fault]", "storm.toml: repair the syntax"),
        ("", "storm.toml: fault: is missing: give at least one"),
        ("fault = 3", "storm.toml: fault = 3: write each as a table of its own"),
        (
            '[[fault]]\ngateway = "nowhere"\nfault = "silent"',
            r"storm.toml: fault\[1\]: there is no gateway 'nowhere'",
        ),
        (
            '[[fault]]\ngateway = "cab-centre-1"\ndevice = "x"\nfault = "silent"',
            r"storm.toml: fault\[1\]: device = 'x': no such device",
        ),
    ],
)
def test_a_scenario_that_cannot_be_played_says_where_and_why(text: str, told_user: str) -> None:
    with pytest.raises(ScenarioError, match=told_user):
        parse_fault_plan(text, source="storm.toml").begin(World(demo_territory(1), NIGHT))
