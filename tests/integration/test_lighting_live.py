"""A live count above what the light is for raises the class at once, and only raises it."""

from datetime import timedelta

import psycopg
import pytest

from cloud.lighting import forecaster, orders, service, store
from cloud.lighting.forecaster import Forecaster
from cloud.lighting.signing import PlanSigner
from protocols.plan import level_at
from protocols.time import TimeUs, from_datetime, to_datetime
from tests.integration.seeded_territory import NOW, passages, seed

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
