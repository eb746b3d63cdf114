"""The demo's past nights follow the planner's programs, made from counts of before each night."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cli.demo import past
from firmware_sim.territory import demo_territory
from protocols.sun import elevation_deg
from protocols.time import TimeUs, from_datetime, to_datetime

TERRITORY = demo_territory(7)
CABINET = TERRITORY.sites[0]
BEGIN = datetime(2026, 11, 17, 8, 0, tzinfo=UTC)
DAYS = 2


def levels(from_at: datetime, hours: float) -> dict[datetime, float]:
    """Levels of the centre's lamps by quarter of an hour, local time."""
    end = from_at + timedelta(hours=hours)
    practice = past.practice(CABINET, TERRITORY, from_datetime(from_at), from_datetime(end))
    assert practice is not None
    found = {}
    for k in range(int(4 * hours)):
        t_us = from_datetime(from_at + timedelta(minutes=15 * k))
        local = to_datetime(TimeUs(t_us)).astimezone(ZoneInfo(TERRITORY.time_zone))
        place = {"latitude_deg": CABINET.latitude_deg, "longitude_deg": CABINET.longitude_deg}
        found[local] = practice(local, elevation_deg(t_us, **place))
    return found


def test_past_nights_are_dark_by_day_and_dimmed_by_counted_traffic() -> None:
    found = levels(BEGIN, 24 * DAYS)
    assert all(level == 0 for at, level in found.items() if 9 <= at.hour < 16)
    assert {level for at, level in found.items() if 2 <= at.hour < 4} == {50.0}
    assert {100.0, 75.0, 50.0} <= set(found.values())
    evening = {level for at, level in found.items() if at.hour == 18}
    assert min(evening) > 50.0


def test_a_later_end_changes_no_earlier_night() -> None:
    short, long = levels(BEGIN, 18), levels(BEGIN, 24 * DAYS)
    assert all(long[at] == level for at, level in short.items())


def test_a_site_without_lamps_has_no_practice() -> None:
    site = next(site for site in TERRITORY.sites if not site.groups)
    assert past.practice(site, TERRITORY, 0, 1) is None
