"""Wet roads, rain, fog: what a sensor says of them raises the class, and silence does too.

A segment may name a sensor and the conditions in which its road needs more light. While one of them
holds the class falls no further than `lowest`; while the sensor says nothing fresh of any of them
it does not fall at all. Weather never lowers.
"""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import AsyncConnection

from cloud.lighting import orders, store
from cloud.lighting.demand import DecidedBy
from cloud.lighting.raising import raised, raising
from cloud.lighting.segment import Weather
from protocols.time import US_PER_S, TimeUs, to_datetime

Told = Mapping[str, tuple[float, int]]
"""By point its newest value and the end of the window that it is of."""

Verdict = tuple[int, DecidedBy]
"""Most classes lower, and why."""


def judged(weather: Weather, told: Told, now_us: int) -> Verdict | None:
    """What the weather asks for; None while it is known and asks for nothing."""
    oldest_us = now_us - weather.stale_s * US_PER_S
    fresh = {point: value for point, (value, end_us) in told.items() if end_us >= oldest_us}
    if any(condition.point not in fresh for condition in weather.conditions):
        return 0, DecidedBy.WEATHER_MISSING
    if any(condition.holds(fresh[condition.point]) for condition in weather.conditions):
        return weather.lowest, DecidedBy.WEATHER
    return None


async def raise_by_weather(conn: AsyncConnection, now_us: TimeUs) -> int:
    """Raise the groups whose weather asks for more light than is planned; how many."""
    watched = [(r, r.segment.weather) for r in await store.groups(conn) if r.segment]
    found = [(record, weather) for record, weather in watched if weather is not None]
    told = await store.weather(conn, sorted({weather.sensor for _, weather in found}))
    count = 0
    for record, weather in found:
        verdict = judged(weather, told.get((record.territory, weather.sensor), {}), now_us)
        if verdict is None:
            continue
        issued = await store.latest_plan(conn, record.gateway_id)
        if issued is not None and raised(record, issued.plan, verdict[0], now_us):
            more = raising(now_us, verdict[0], None, verdict[1])
            await orders.put_raise(conn, record.group_id, more, now=to_datetime(now_us))
            count += 1
    return count
