"""Civil time of a territory: what people's habits and opening hours follow."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from firmware_sim.errors import ScenarioError
from protocols.time import US_PER_S, TimeUs, from_datetime, to_datetime

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Opening = Mapping[str, Sequence[tuple[str, str]]]
"""Opening hours: weekday to (from, to) pairs "HH:MM", local time, ascending."""


class CivilTime:
    """Instants and local times of one time zone."""

    def __init__(self, zone_name: str) -> None:
        try:
            self._zone = ZoneInfo(zone_name)
        except (ZoneInfoNotFoundError, ValueError) as fault:
            raise ScenarioError(
                f"time zone {zone_name!r} is unknown here; install tzdata or correct the name"
            ) from fault

    def local(self, t_us: int) -> datetime:
        """The aware local time of an instant."""
        return to_datetime(t_us).astimezone(self._zone)

    def instant(self, day: date, clock: time) -> TimeUs:
        """The instant of a local time; in a doubled hour the first one."""
        return from_datetime(datetime.combine(day, clock, tzinfo=self._zone))

    def midnight(self, day: date) -> TimeUs:
        return self.instant(day, time())

    def openings(self, day: date, opening: Opening) -> list[tuple[TimeUs, TimeUs]]:
        """The (from, to) instants at which something with these hours is open on `day`."""
        spans = opening.get(WEEKDAYS[day.weekday()], ())
        return [(self._at(day, begin), self._at(day, end)) for begin, end in spans]

    def _at(self, day: date, clock: str) -> TimeUs:
        try:
            return self.instant(day, time.fromisoformat(clock))
        except ValueError as fault:
            raise ScenarioError(f"opening hour {clock!r} is not HH:MM, 00:00 to 23:59") from fault


def next_day(day: date) -> date:
    return day + timedelta(days=1)


def hours_us(hours: float) -> int:
    """Whole microseconds of `hours`."""
    return round(hours * 3600 * US_PER_S)
