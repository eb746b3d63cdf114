"""A live count above what the light is for raises the class at once; so does the weather."""

from datetime import timedelta

import psycopg
import pytest

from cloud.lighting import forecaster, orders, service, store
from cloud.lighting.explain import sentence
from cloud.lighting.forecaster import Forecaster
from cloud.lighting.segment import parse
from cloud.lighting.signing import PlanSigner
from cloud.lighting.weather import raise_by_weather
from protocols.plan import level_at
from protocols.time import TimeUs, from_datetime, to_datetime
from tests.integration.seeded_territory import NOW, passages, seed
from tests.lighting_cases import SEGMENT

EVENING = NOW.replace(hour=22)
EVENING_US = from_datetime(EVENING)


@pytest.fixture
def url(migrated_database_url: str) -> str:
    """Two quiet weeks on the road of the centre, up to the evening."""
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        ids = seed(conn)
        start = EVENING - timedelta(days=15)
        quiet = [(start + timedelta(minutes=15 * i), 1) for i in range(15 * 96 - 1)]
        passages(conn, ids["centre/road"], quiet, window_s=900)
    return migrated_database_url


def count_now(url: str, cars: int) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute("select counter_device_id from lighting_group order by 1").fetchone()
        assert row is not None
        passages(conn, row[0], [(EVENING - timedelta(minutes=15), cars)], window_s=900)


async def level(conn: psycopg.AsyncConnection, t_us: int) -> float:
    records = await store.groups(conn)
    issued = await store.latest_plan(conn, records[0].gateway_id)
    assert issued is not None
    return level_at(issued.plan, issued.plan.groups[0], t_us, clock_sure=True).level_pct


@pytest.mark.parametrize(("cars", "expected"), [(1, 50.0), (30, 75.0), (100, 100.0)])
async def test_the_light_follows_the_live_count_upwards(
    url: str, cars: int, expected: float
) -> None:
    count_now(url, cars)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await service.issue_plans(conn, EVENING_US, PlanSigner())
        before = await level(conn, EVENING_US)
        raised = await forecaster.raise_by_live_counts(conn, EVENING_US)
        changed = await orders.changed_gateways(conn, to_datetime(EVENING_US - 1))
        later = TimeUs(EVENING_US + 1_000_000)
        await service.issue_plans(conn, later, PlanSigner(), only=changed)
        assert before == 50.0
        assert (raised, len(changed)) == ((1, 1) if expected > 50 else (0, 0))
        assert await level(conn, EVENING_US) == expected
        assert await level(conn, from_datetime(EVENING + timedelta(hours=3))) == 50.0


async def test_without_a_live_count_nothing_is_raised(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await service.issue_plans(conn, EVENING_US, PlanSigner())
        assert await forecaster.raise_by_live_counts(conn, EVENING_US) == 0


async def test_a_short_record_leaves_the_decision_to_the_bound(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        assert await Forecaster().decide(conn, EVENING_US) == 0


async def test_a_raise_that_is_still_needed_does_not_end_in_between(url: str) -> None:
    slot = timedelta(minutes=15)
    raised = 0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await service.issue_plans(conn, EVENING_US, PlanSigner())
        for number in range(6):
            now = EVENING + number * slot
            if number:
                assert await level(conn, from_datetime(now)) == 100.0
            with psycopg.connect(url, autocommit=True) as writer:
                row = writer.execute("select max(device_id) from passage_reading").fetchone()
                assert row is not None
                passages(writer, row[0], [(now - slot, 100)], window_s=900)
            raised += await forecaster.raise_by_live_counts(conn, from_datetime(now))
            await service.issue_plans(conn, TimeUs(from_datetime(now) + 1_000_000), PlanSigner())
    assert raised >= 2


def weather_now(url: str, **values: float) -> None:
    """What the mast beside the cabinet of the centre says at EVENING."""
    with psycopg.connect(url, autocommit=True) as conn:
        device = conn.execute(
            "insert into device (gateway_id, name, kind) select gateway_id, 'mast', 'sample'"
            " from gateway where name = 'gw-centre' on conflict do nothing returning device_id"
        ).fetchone()
        if device is None:
            device = conn.execute("select device_id from device where name = 'mast'").fetchone()
        assert device is not None
        for point, value in values.items():
            conn.execute(
                "with s as (insert into series (device_id, point) values (%s, %s)"
                " on conflict (device_id, point) do update set point = excluded.point"
                " returning series_id)"
                " insert into latest_sample (t, series_id, window_s, quality, value)"
                " select %s, series_id, 60, 0, %s from s",
                (device[0], point, EVENING - timedelta(minutes=2), value),
            )


@pytest.mark.parametrize(
    ("told", "expected", "source"),
    [
        ({"rain_mm_h": 0.0}, 50.0, "hour_of_week"),
        ({"rain_mm_h": 2.0}, 100.0, "weather"),
        ({}, 100.0, "weather_missing"),
    ],
)
async def test_rain_and_the_lack_of_weather_raise_the_class_at_once(
    url: str, told: dict[str, float], expected: float, source: str
) -> None:
    weather_now(url, **told)
    conditions = [{"point": "rain_mm_h", "above": 0.2}]
    segment = parse({**SEGMENT, "weather": {"sensor": "gw-centre/mast", "conditions": conditions}})
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        group = (await store.groups(conn))[0]
        await orders.put_segment(conn, group.group_id, segment, actor="tests", now=EVENING)
        await service.issue_plans(conn, EVENING_US, PlanSigner())
        assert await level(conn, EVENING_US) == 50.0
        raised = await raise_by_weather(conn, EVENING_US)
        assert raised == (1 if expected > 50 else 0)
        later = TimeUs(EVENING_US + 1_000_000)
        await service.issue_plans(conn, later, PlanSigner())
        assert await level(conn, EVENING_US) == expected
        assert await raise_by_weather(conn, later) == 0
        found = await orders.explanation(conn, group.group_id, to_datetime(later))
    assert found is not None
    (run,) = [w for w in found[1] if w.from_us <= EVENING_US < w.until_us]
    assert run.source == source
    assert sentence(run, "en", group.place.zone)
