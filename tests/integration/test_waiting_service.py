"""From rows of three counters to the public answer, on a real database."""

import logging
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from cloud.api import problems
from cloud.clock import ManualClock
from cloud.waiting import routes, service, store
from protocols.time import US_PER_S, TimeUs, to_datetime
from tests.integration.seeded_territory import NOW, NOW_US, minutes, passages, seed

OPENED = NOW - timedelta(minutes=90)
"""09:00 in Paris."""
PATH = "/api/v1/facilities/dechetterie/wait"


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_database_url, autocommit=True) as found:
        yield found


@pytest.fixture
def ids(conn: psycopg.Connection) -> dict[str, int]:
    return seed(conn)


@pytest.fixture
async def pool(
    migrated_database_url: str, ids: dict[str, int]
) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(
        migrated_database_url, min_size=1, kwargs={"autocommit": True}, open=False
    ) as found:
        yield found


@pytest.fixture
async def web(pool: AsyncConnectionPool) -> AsyncIterator[SimpleNamespace]:
    """A client of the waiting routes and the clock they go by."""
    app = FastAPI()
    problems.install(app)
    app.include_router(routes.router, prefix="/api/v1")
    clock = ManualClock(NOW_US)
    app.state.pool, app.state.clock = pool, clock
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield SimpleNamespace(client=client, clock=clock)


async def _estimate(pool: AsyncConnectionPool, now_us: int = NOW_US) -> int:
    async with pool.connection() as conn:
        return await service.estimate_all(conn, service.RatioBook(), TimeUs(now_us))


def _morning(conn: psycopg.Connection, ids: dict[str, int], **counts: list[int]) -> None:
    """Counts a minute from an hour before the opening for the tail, from the opening for others."""
    for gate, cars in counts.items():
        start = OPENED - timedelta(hours=1) if gate == "tail" else OPENED
        passages(conn, ids[f"dechetterie/{gate}"], minutes(start, cars))


BUSY = {
    "tail": [0] * 60 + [1] * 60 + [0] * 30,
    "entry": [1] * 50 + [0] * 40,
    "exit": [0] * 10 + [1] * 44 + [0] * 36,
}
"""60 joined, 50 entered, 44 left: six bays busy, ten cars wait."""


async def test_ten_cars_before_six_bays_wait_about_twenty_minutes(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool, web: SimpleNamespace
) -> None:
    _morning(conn, ids, **BUSY)
    assert await _estimate(pool) == 1
    answer = await web.client.get(PATH)
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=30"
    assert body["status"] == "open"
    assert body["situation"] == "A"
    assert body["basis"] == "measured"
    assert 15 < body["wait_minutes"]["p50"] < 25
    assert body["wait_minutes"]["p50"] < body["wait_minutes"]["p80"] < body["wait_minutes"]["p95"]
    assert 8 <= body["people_ahead"]["p50"] <= 11
    assert body["age_s"] == 0


async def test_the_same_half_minute_has_the_same_tag_and_is_not_sent_again(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool, web: SimpleNamespace
) -> None:
    _morning(conn, ids, **BUSY)
    await _estimate(pool)
    web.clock.advance_us(1 * US_PER_S)
    first = await web.client.get(PATH)
    web.clock.advance_us(20 * US_PER_S)
    second = await web.client.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 304


async def test_counts_older_than_ten_minutes_give_null_and_unknown(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool, web: SimpleNamespace
) -> None:
    _morning(conn, ids, **BUSY)
    await _estimate(pool)
    web.clock.advance_us(601 * US_PER_S)
    body = (await web.client.get(PATH)).json()
    assert body["status"] == "unknown"
    assert body["wait_minutes"] is None
    assert body["people_ahead"] is None
    assert body["confidence"] == "none"
    assert body["basis"] == "none"


async def test_a_closed_site_has_no_wait_and_says_when_it_opens(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool, web: SimpleNamespace
) -> None:
    _morning(conn, ids, **BUSY)
    web.clock.advance_us(100 * 60 * US_PER_S)
    assert await _estimate(pool, web.clock.now_us()) == 0
    body = (await web.client.get(PATH)).json()
    assert body["status"] == "closed"
    assert body["wait_minutes"] is None
    assert body["opens_at"].startswith("2026-11-21T13:00")


async def test_a_silent_tail_detector_degrades_to_situation_b(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool, web: SimpleNamespace
) -> None:
    _morning(conn, ids, entry=BUSY["entry"], exit=BUSY["exit"])
    await _estimate(pool)
    body = (await web.client.get(PATH)).json()
    assert (body["situation"], body["basis"]) == ("B", "inferred")
    assert body["confidence"] == "low"
    assert body["wait_minutes"] is not None


async def test_a_detector_fault_drops_the_detector(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    _morning(conn, ids, **BUSY)
    conn.execute(
        "update latest_passage set status = 1 where device_id = %s", (ids["dechetterie/exit"],)
    )
    await _estimate(pool)
    async with pool.connection() as reader:
        (facility,) = await store.facilities(reader)
        found = await store.latest_estimates(reader, [facility.facility_id])
    wait = found[facility.facility_id].wait
    assert (wait.situation.value, wait.p80_s) == ("C", None)


async def test_a_hole_in_the_counts_gives_no_figure(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool, web: SimpleNamespace
) -> None:
    for gate in ("tail", "entry", "exit"):
        late = NOW - timedelta(minutes=30)
        passages(conn, ids[f"dechetterie/{gate}"], minutes(late, [1] * 30))
    await _estimate(pool)
    body = (await web.client.get(PATH)).json()
    assert body["status"] == "unknown"
    assert body["wait_minutes"] is None


async def test_late_minutes_correct_the_estimate_of_the_same_instant(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    _morning(conn, ids, **BUSY)
    await _estimate(pool)
    await _estimate(pool)
    assert conn.execute("select count(*), max(t) from wait_estimate").fetchone() == (1, NOW)


async def test_ratios_are_learned_from_whole_days_before_today(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    yesterday = datetime(2026, 11, 19, 23, tzinfo=NOW.tzinfo)
    for gate, cars in (("entry", 1), ("exit", 0)):
        day = [cars if i % 2 else 1 for i in range(1440)]
        passages(conn, ids[f"dechetterie/{gate}"], minutes(yesterday, day))
    async with pool.connection() as reader:
        (facility,) = await store.facilities(reader)
        ratios = await service.RatioBook().of(reader, facility, NOW_US)
    assert ratios.exit == pytest.approx(1.4)
    assert ratios.tail == 1.0


async def test_bad_opening_hours_are_logged_and_stop_nobody_else(
    conn: psycopg.Connection,
    ids: dict[str, int],
    pool: AsyncConnectionPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s, opening)"
        " values (%s, 'autre', 'Autre', 2, 600, '{\"lundi\": []}')",
        (ids["site:dechetterie"],),
    )
    _morning(conn, ids, **BUSY)
    with caplog.at_level(logging.ERROR, logger="eclor.waiting"):
        assert await _estimate(pool) == 1
    assert "opening_hours_refused" in caplog.text


async def test_facilities_are_found_by_short_and_full_names(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    for name in ("dechetterie", "dechetterie.dechetterie", "alzette.dechetterie.dechetterie"):
        answer = await web.client.get(f"/api/v1/facilities/{name}/wait")
        assert answer.status_code == 200
    missing = await web.client.get("/api/v1/facilities/nulle-part/wait")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"


async def test_a_name_used_twice_is_refused_with_the_remedy(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s)"
        " values (%s, 'dechetterie', 'Une autre', 2, 600)",
        (ids["site:centre"],),
    )
    answer = await web.client.get(PATH)
    assert answer.status_code == 409
    assert "alzette.centre.dechetterie" in answer.json()["detail"]


async def test_the_list_shows_every_facility(web: SimpleNamespace) -> None:
    items: list[dict[str, Any]] = (await web.client.get("/api/v1/waits")).json()["items"]
    assert [item["id"] for item in items] == ["dechetterie"]
    assert items[0]["wait_minutes"] is None


async def test_old_estimates_are_forgotten(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    _morning(conn, ids, **BUSY)
    await _estimate(pool)
    later = NOW_US + 401 * 86_400 * US_PER_S
    async with pool.connection() as writer:
        assert await service.drop_old_estimates(writer, TimeUs(NOW_US)) == 0
        assert await service.drop_old_estimates(writer, TimeUs(later)) == 1
    assert to_datetime(later) > NOW
