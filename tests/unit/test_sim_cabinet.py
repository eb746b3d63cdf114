"""Lamps, contactor and meter of a simulated cabinet."""

import pytest

from firmware_sim.cabinet import CONTACTOR_CLOSED
from firmware_sim.lamp import COMM_FAILURE, FULL_PCT
from firmware_sim.scenario import SiteSpec
from firmware_sim.territory import demo_territory
from firmware_sim.world import SiteWorld
from protocols.ids import DeviceId, gateway_id
from protocols.time import US_PER_S, from_datetime, to_datetime

NIGHT = 1_767_222_000 * US_PER_S  # 2025-12-31 23:00 UTC
MINUTE = 60 * US_PER_S
HOUR = 60 * MINUTE


def cabinet_site(seed: int = 5) -> SiteWorld:
    territory = demo_territory(seed)
    return SiteWorld(territory.site_of(gateway_id("cab-centre-1")), territory, NIGHT)


def lamps(spec: SiteSpec) -> tuple[DeviceId, ...]:
    assert spec.cabinet is not None
    return spec.cabinet.lamps


def number(site: SiteWorld, device: str, quantity: str) -> float:
    value = site.quantities(DeviceId(device))[quantity]
    assert isinstance(value, int | float)
    return value


def write_all(site: SiteWorld, level_pct: float) -> None:
    for device in lamps(site.spec):
        site.write(device, "level_pct", level_pct)


def sound_lamp(site: SiteWorld) -> DeviceId:
    return next(d for d in lamps(site.spec) if not site.quantities(d)["status"])


def test_power_follows_the_level_in_a_straight_line() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    powers = {}
    for level in (10, 50, 100):
        site.write(lamp, "level_pct", level)
        powers[level] = number(site, lamp, "power_w")
    rated = powers[100]
    assert rated == pytest.approx(60, rel=0.02)
    for level in (10, 50):
        assert powers[level] == pytest.approx(rated * (0.07 + 0.93 * level / 100))


def test_a_lamp_off_draws_standby_and_below_its_least_level_stays_there() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    site.write(lamp, "level_pct", 0)
    assert (number(site, lamp, "level_pct"), number(site, lamp, "power_w")) == (0, 0.4)
    site.write(lamp, "level_pct", 3)
    assert number(site, lamp, "level_pct") == 10
    assert number(site, lamp, "target_pct") == 3


def test_energy_is_the_integral_of_power() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    before = number(site, lamp, "energy_wh")
    site.write(lamp, "level_pct", 100)
    power = number(site, lamp, "power_w")
    site.advance(site.t_us + 10 * HOUR)
    assert number(site, lamp, "energy_wh") - before == pytest.approx(10 * power, abs=1)


def test_the_feeder_is_the_sum_of_its_lamps_and_the_own_use() -> None:
    site = cabinet_site()
    before = number(site, "feeder", "energy_import_wh")
    lamps_before = sum(number(site, lamp, "energy_wh") for lamp in lamps(site.spec))
    for level in (100, 30, 0):
        write_all(site, level)
        site.advance(site.t_us + 10 * MINUTE)
        total = sum(number(site, lamp, "power_w") for lamp in lamps(site.spec))
        assert number(site, "feeder", "power_w") == pytest.approx(total + 12)
    gained = number(site, "feeder", "energy_import_wh") - before
    lamps_gained = sum(number(site, lamp, "energy_wh") for lamp in lamps(site.spec)) - lamps_before
    assert gained == pytest.approx(lamps_gained + 12 / 2, abs=len(lamps(site.spec)) + 1)


def test_currents_and_power_factor_agree_with_power() -> None:
    site = cabinet_site()
    write_all(site, 100)
    apparent = sum(
        number(site, "feeder", f"voltage_l{n}_v") * number(site, "feeder", f"current_l{n}_a")
        for n in (1, 2, 3)
    )
    factor = number(site, "feeder", "power_factor")
    assert factor == pytest.approx(0.95, abs=0.02)
    assert apparent * factor == pytest.approx(number(site, "feeder", "power_w"))


def test_a_lamp_that_nobody_writes_to_goes_to_full_light() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    start = site.t_us
    write_all(site, 30)
    site.advance(start + 15 * MINUTE - 1)
    assert number(site, lamp, "level_pct") == 30
    site.advance(start + 15 * MINUTE)
    assert number(site, lamp, "level_pct") == FULL_PCT
    assert number(site, lamp, "target_pct") == 30
    site.write(lamp, "level_pct", 20)
    assert number(site, lamp, "level_pct") == 20


def test_lamps_that_nobody_has_written_to_since_power_on_are_full() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    assert number(site, lamp, "level_pct") == FULL_PCT
    assert number(site, lamp, "power_w") == pytest.approx(60, rel=0.02)


def test_writing_the_same_level_again_keeps_contact() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    for _ in range(10):
        site.write(lamp, "level_pct", 40)
        site.advance(site.t_us + 10 * MINUTE)
    assert number(site, lamp, "level_pct") == 40


def test_an_open_contactor_takes_power_and_contact_from_the_lamps() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    write_all(site, 80)
    site.write(DeviceId("cabinet"), "contactor", 0)
    shown = site.quantities(lamp)
    assert shown["status"] == COMM_FAILURE
    assert shown["level_pct"] is None
    assert shown["target_pct"] == 80
    assert number(site, "feeder", "power_w") == 12
    assert not int(number(site, "cabinet", "status")) & CONTACTOR_CLOSED


def test_lamps_come_back_at_full_light_until_they_are_written_to() -> None:
    site = cabinet_site()
    lamp = sound_lamp(site)
    write_all(site, 80)
    site.write(DeviceId("cabinet"), "contactor", 0)
    write_all(site, 50)
    site.write(DeviceId("cabinet"), "contactor", 1)
    assert number(site, lamp, "level_pct") == FULL_PCT
    site.write(lamp, "level_pct", 50)
    assert number(site, lamp, "level_pct") == 50


def test_some_lamps_have_failed_and_say_so() -> None:
    failed = []
    for seed in range(5):
        site = cabinet_site(seed)
        write_all(site, 100)
        failed += [
            lamp
            for lamp in lamps(site.spec)
            if number(site, lamp, "status") in (1, 2) and number(site, lamp, "level_pct") == 0
        ]
    assert 1 <= len(failed) <= 12  # 2 % of 200


def test_the_photocell_is_dark_at_night_and_not_at_noon() -> None:
    site = cabinet_site()
    assert int(number(site, "cabinet", "status")) & 4
    assert number(site, "cabinet", "illuminance_lx") < 0.01
    site.advance(NIGHT + 12 * HOUR)
    assert not int(number(site, "cabinet", "status")) & 4
    assert number(site, "cabinet", "illuminance_lx") > 2000


def test_the_door_is_opened_now_and_then_in_working_hours_only() -> None:
    site = cabinet_site()
    opened = []
    for step in range(10 * 7 * 24 * 6):
        site.advance(NIGHT + step * 10 * MINUTE)
        if int(number(site, "cabinet", "status")) & 1:
            opened.append(site.civil.local(site.t_us))
    assert opened
    assert all(moment.weekday() < 5 and 8 <= moment.hour < 17 for moment in opened)


def test_sky_and_mains_stay_in_their_physical_range() -> None:
    site = cabinet_site()
    for hour in range(24 * 20):
        site.advance(NIGHT + hour * HOUR)
        for n in (1, 2, 3):
            assert 207 <= number(site, "feeder", f"voltage_l{n}_v") <= 253  # EN 50160
        assert 49.9 < number(site, "feeder", "frequency_hz") < 50.1
        assert -25 < number(site, "cabinet", "temperature_c") < 45
    assert from_datetime(to_datetime(NIGHT)) == NIGHT
