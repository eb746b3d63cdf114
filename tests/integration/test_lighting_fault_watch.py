"""A dead lamp of a real database is noticed once, shown, and cleared when it shines again."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from cloud.keys.model import Scope
from cloud.lighting import fault_watch, service, store
from cloud.lighting.curves import learn_curves
from protocols.time import from_datetime
from tests.integration.seeded_territory import LAMPS, lamp_rows, seed
from tests.integration.test_lighting_routes import client

MORNING = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
FAULTS = "/api/v1/lighting/faults"


def level(t: datetime) -> float:
    return 50.0 if t.hour >= 22 or t.hour < 5 else 100.0 if t.hour >= 16 or t.hour < 7 else 0.0


def fill(conn: psycopg.Connection, *, dead_from: datetime, dead_until: datetime) -> dict[str, int]:
    """Three days of lamps, the second of which is dead for a time."""
    ids = seed(conn)
    start = MORNING - timedelta(days=3)
    for lamp in range(LAMPS):
        rows = []
        for i in range(3 * 288):
            t = start + timedelta(minutes=5 * i)
            watts = 3.15 + 41.85 * level(t) / 100 if level(t) else 0.4
            dead = lamp == 1 and dead_from <= t < dead_until
            rows.append((t, level(t), 0.4 if dead else watts))
        lamp_rows(conn, [ids[f"centre/lamp-{lamp:02d}"]], rows)
    return ids


async def watched(url: str, at: datetime) -> int:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        return await fault_watch.watch(conn, from_datetime(at))


async def test_a_dead_lamp_is_noticed_once_and_shown(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        fill(conn, dead_from=MORNING - timedelta(hours=14), dead_until=MORNING)
    assert await watched(migrated_database_url, MORNING) == 1
    assert await watched(migrated_database_url, MORNING + timedelta(minutes=15)) == 0
    async with client(migrated_database_url, Scope.READ) as reader:
        (fault,) = (await reader.get(FAULTS)).json()["items"]
    assert (fault["kind"], fault["device"], fault["cleared_at"]) == ("lamp_out", "lamp-01", None)
    assert (fault["group"], fault["talq_event"]) == ("rue-centre", "lampFailure")


async def test_a_repaired_lamp_is_cleared_after_a_day(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        begin = MORNING - timedelta(days=2, hours=14)
        ids = fill(conn, dead_from=begin, dead_until=begin + timedelta(hours=3))
        conn.execute(
            "insert into lighting_fault (group_id, device_id, kind, noticed_at)"
            " values (%s, %s, 'lamp_out', %s)",
            (ids["group:centre"], ids["centre/lamp-01"], begin),
        )
    assert await watched(migrated_database_url, MORNING) == 0
    async with client(migrated_database_url, Scope.READ) as reader:
        lasting = (await reader.get(FAULTS)).json()["items"]
        every = (await reader.get(FAULTS, params={"open": False})).json()["items"]
    assert lasting == []
    assert every[0]["cleared_at"] is not None


async def test_what_lamps_draw_is_learned_and_shown_with_its_interval(
    migrated_database_url: str,
) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        fill(conn, dead_from=MORNING, dead_until=MORNING)
    async with await psycopg.AsyncConnection.connect(
        migrated_database_url, autocommit=True
    ) as conn_:
        assert await learn_curves(conn_, from_datetime(MORNING)) == 1
        assert await learn_curves(conn_, from_datetime(MORNING)) == 1
        centre, gare = await store.groups(conn_)
        made = await service.make_plan(conn_, [centre], from_datetime(MORNING))
    assert (centre.lamp_model, centre.group.lamp.source.value) == ("45 W", "lamps")
    assert centre.group.lamp.full_w == pytest.approx(45.0)
    assert centre.group.lamp.idle_w == pytest.approx(3.15)
    assert gare.group.lamp == centre.group.lamp  # lamps of one model and territory
    lit = next(run for run in made.why[centre.group_id] if run.level_pct > 0)
    assert lit.expected_interval_w is not None
    async with client(migrated_database_url, Scope.READ) as reader:
        report = (await reader.get("/api/v1/lighting/report")).json()
    told = report["groups"][0]["power_curve"]
    assert (told["source"], told["full_w"], told["interval_w"]) == ("lamps", 45.0, 0.0)


@pytest.mark.parametrize("minutes", [0, 60])
async def test_a_group_that_says_nothing_or_is_well_has_no_fault(
    migrated_database_url: str, minutes: int
) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        fill(conn, dead_from=MORNING, dead_until=MORNING)
    assert await watched(migrated_database_url, MORNING + timedelta(minutes=minutes)) == 0
