"""The whole field on the simulator's serial line: values, a command, and use as it was planned."""

import asyncio
from contextlib import suppress

import pytest

from edge.bus.field import Field
from edge.bus.plan import plan_of
from edge.bus.writes import Outcome, write_point
from edge.clock import SystemClock
from edge.config_buses import BusSettings, SerialSettings
from edge.config_devices import DeviceSettings
from firmware_sim.line import SerialLine
from firmware_sim.territory import demo_territory
from firmware_sim.units import responders
from firmware_sim.world import World
from protocols.ids import DeviceId, GatewayId
from protocols.profile import builtin
from tests.integration.test_edge_bus import Collected, running

BAUD = 38_400
TURNAROUND_S = 0.005


def world_of_a_cabinet() -> World:
    return World(demo_territory(1), SystemClock().now_us())


def device(name: str, unit: int, profile: str, index: int = 0) -> DeviceSettings:
    return DeviceSettings(DeviceId(name), "line1", unit, builtin(profile), index, 0.5, window_s=60)


async def test_a_cabinet_on_a_serial_line_is_read_commanded_and_as_busy_as_planned() -> None:
    clock = SystemClock()
    site = next(
        site
        for site in world_of_a_cabinet().sites()
        if site.spec.gateway.gateway == GatewayId("cab-centre-1")
    )
    units = responders(site, clock.now_us)
    devices = [
        device("feeder", 1, "eastron-sdm630"),
        device("cabinet", 2, "eclor-cabinet"),
        *(device(f"lamp-{index}", 2, "eclor-luminaire", index) for index in range(10)),
    ]
    seen = Collected()
    async with SerialLine(units, baud=BAUD, turnaround_s=TURNAROUND_S) as line:
        bus = BusSettings(
            "line1", "", 0, 1.0, "rtu", SerialSettings(line.path, BAUD, "none"),
            turnaround_s=TURNAROUND_S,
        )  # fmt: skip
        field = Field([bus], devices, clock=clock, emit=seen)
        async with running(field):
            await seen.until(lambda _: all(seen.good(each.id) >= 3 for each in devices))
            result = await write_point(field, DeviceId("lamp-3"), "level", 40.0, clock=clock)
        counts = line.counts
    assert result.outcome is Outcome.VERIFIED
    assert counts.short_gaps == counts.malformed_frames == 0
    health = field.health
    plan = plan_of(bus, devices)
    a_request_s = plan.planned_pct / 100 / plan.requests_per_s
    assert health.busy_s / health.requests == pytest.approx(a_request_s, rel=1.0)


async def test_a_dead_unit_of_a_line_costs_the_others_its_time_out_once() -> None:
    clock = SystemClock()
    site = next(iter(world_of_a_cabinet().sites()))
    units = {1: responders(site, clock.now_us)[1]}
    devices = [device("feeder", 1, "eastron-sdm630"), device("dead", 9, "eastron-sdm630")]
    seen = Collected()
    async with SerialLine(units, baud=BAUD, turnaround_s=TURNAROUND_S) as line:
        bus = BusSettings("line1", "", 0, 0.3, "rtu", SerialSettings(line.path, BAUD, "none"))
        field = Field([bus], devices, clock=clock, emit=seen)
        async with running(field):
            await seen.until(lambda _: seen.good("feeder") >= 6)
    assert field.health.units_lost == 1
    assert field.health.units_silent == 1
    assert all(not sample.values for sample in seen.samples if sample.device == "dead")


async def test_stopping_in_the_middle_of_a_poll_leaves_the_port_free() -> None:
    clock = SystemClock()
    site = next(iter(world_of_a_cabinet().sites()))
    async with SerialLine(responders(site, clock.now_us), baud=1_200) as line:
        bus = BusSettings("line1", "", 0, 1.0, "rtu", SerialSettings(line.path, 1_200, "none"))
        for _ in range(2):
            seen = Collected()
            field = Field([bus], [device("feeder", 1, "eastron-sdm630")], clock=clock, emit=seen)
            async with running(field):
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0):  # a poll takes longer at this speed
                        await seen.until(bool)
            assert field.health.links_opened == 1
