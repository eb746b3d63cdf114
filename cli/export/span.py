"""From when until when, as a person writes it: dates and times of a clock, or with their own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

_F = TypeVar("_F", bound=Callable[..., Any])


class Instant(click.ParamType[datetime]):
    """2026-01-31, 2026-01-31T18:00 or 2026-01-31T18:00:00Z."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date or time; write 2026-01-31 or 2026-01-31T18:00")


class Day(click.ParamType[date]):
    """2026-01-31."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no date; write 2026-01-31")


class Zone(click.ParamType[ZoneInfo]):
    """A time zone by its name, as Europe/Paris."""

    name = "zone"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> ZoneInfo:
        try:
            return ZoneInfo(value)
        except (ValueError, OSError, LookupError):
            self.fail(f"{value!r} is no time zone; write a name like Europe/Paris or UTC")


def span(command: _F) -> _F:
    """`--from`, `--to` and the zone of those that name none."""
    start = click.option("--from", "start", type=Instant(), required=True, help="Begin, inclusive.")
    until = click.option("--to", "until", type=Instant(), help="End, exclusive.  [default: now]")
    zone = click.option(
        "--time-zone",
        "zone",
        type=Zone(),
        default="Europe/Paris",
        show_default=True,
        help="Clock of times that name none.",
    )
    return start(until(zone(command)))


def with_zone(moment: datetime, zone: ZoneInfo) -> str:
    """The instant as the API takes it."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()
