"""Lighting over HTTP: who may read it, and what the answers say."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import psycopg
import pytest

from cloud.api.app import create_app
from cloud.clock import ManualClock
from cloud.keys import store as keys
from cloud.keys.model import Scope
from cloud.lighting import service
from cloud.lighting.signing import PlanSigner
from cloud.settings import Database, Settings
from tests.integration.seeded_territory import (
    BASELINE,
    LAMPS,
    NOW,
    NOW_US,
    feeder_energy,
    lamp_rows,
    seed,
)

GROUPS = "/api/v1/lighting/groups"


@asynccontextmanager
async def client(
    database_url: str, *scopes: Scope, territory: str | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client that holds `scopes`; without any it sends no key."""
    headers = {}
    if scopes:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
            key = await keys.create(
                conn, name="t", scopes=scopes, territory=territory, expires_at=None, actor="console"
            )
        headers = {"Authorization": f"Bearer {key.text}"}
    app = create_app(Settings(database=Database(url=database_url)), clock=ManualClock(NOW_US))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://t", headers=headers) as found,
    ):
        yield found


@pytest.fixture
def filled(migrated_database_url: str) -> str:
    """The URL of a database with lamps at 75 % and two metered days."""
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        ids = seed(conn)
        lamps = [ids[f"centre/lamp-{i:02d}"] for i in range(LAMPS)]
        lamp_rows(conn, lamps, [(NOW - timedelta(minutes=1), 75.0, 30.0)])
        start = NOW - timedelta(days=2)
        readings = [(start + timedelta(minutes=5 * i), 5 * i) for i in range(576)]
        feeder_energy(conn, ids["centre/feeder"], readings)
    return migrated_database_url


async def test_lighting_is_not_public(filled: str) -> None:
    async with client(filled) as anyone:
        for path in ("", "/rue-centre", "/rue-centre/plan", "/rue-centre/energy"):
            assert (await anyone.get(GROUPS + path)).status_code == 401


async def test_groups_show_level_and_power_with_their_baseline(filled: str) -> None:
    async with client(filled, Scope.READ) as reader:
        items = (await reader.get(GROUPS)).json()["items"]
        one = (await reader.get(f"{GROUPS}/alzette.rue-centre")).json()
    assert [item["id"] for item in items] == ["rue-centre", "rue-gare"]
    assert items[0] == one
    assert (one["level_pct"], one["power_w"], one["reporting"]) == (75.0, 120.0, LAMPS)
    assert one["baseline"]["name"] == BASELINE
    assert items[1]["level_pct"] is None


async def test_the_plan_is_shown_once_it_is_issued(filled: str) -> None:
    async with client(filled, Scope.READ) as reader:
        missing = await reader.get(f"{GROUPS}/rue-centre/plan")
        async with await psycopg.AsyncConnection.connect(filled, autocommit=True) as conn:
            await service.issue_plans(conn, NOW_US, PlanSigner())
        body = (await reader.get(f"{GROUPS}/rue-centre/plan")).json()
    assert missing.status_code == 404
    assert missing.json()["type"] == "urn:eclor:problem:no-plan"
    assert body["gateway"] == "gw-centre"
    assert {slot["level_pct"] for slot in body["slots"]} == {0.0, 100.0}
    assert body["fallback"] == {"elevation_deg": -0.833, "level_pct": 100.0}


async def test_energy_names_its_baseline_beside_every_night(filled: str) -> None:
    async with client(filled, Scope.READ) as reader:
        body = (await reader.get(f"{GROUPS}/rue-centre/energy", params={"nights": 2})).json()
        refused = await reader.get(f"{GROUPS}/rue-centre/energy", params={"nights": 0})
    assert [night["night"] for night in body["nights"]] == ["2026-11-19", "2026-11-20"]
    assert {night["baseline"] for night in body["nights"]} == {BASELINE}
    assert body["nights"][0]["saving_pct"] is not None
    assert refused.status_code == 422


async def test_a_key_of_another_territory_sees_no_group(filled: str) -> None:
    with psycopg.connect(filled, autocommit=True) as conn:
        conn.execute("insert into territory (slug, name) values ('ailleurs', 'Ailleurs')")
    async with client(filled, Scope.READ, territory="ailleurs") as stranger:
        assert (await stranger.get(GROUPS)).json()["items"] == []
        assert (await stranger.get(f"{GROUPS}/rue-centre")).status_code == 404
