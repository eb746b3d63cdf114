"""A small territory and an API over a real database, for the tests of routes and commands."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg

from cloud.api.app import create_app
from cloud.keys import store as keys
from cloud.keys.model import Scope
from cloud.settings import Api, Database, Settings

DOCUMENT: dict[str, list[dict[str, Any]]] = {
    "territories": [
        {"id": "pays-haut", "name": "Pays-Haut", "time_zone": "Europe/Paris"},
        {"id": "val-bas", "name": "Val-Bas", "time_zone": "Europe/Luxembourg"},
    ],
    "sites": [
        {
            "territory": "pays-haut",
            "id": "centre",
            "name": "Rue du Centre",
            "kind": "cabinet",
            "latitude": 49.52,
            "longitude": 5.77,
        },
        {
            "territory": "pays-haut",
            "id": "recyclerie",
            "name": "Déchèterie",
            "kind": "recycling_centre",
            "latitude": 49.51,
            "longitude": 5.78,
        },
        {
            "territory": "val-bas",
            "id": "gare",
            "name": "Gare",
            "kind": "cabinet",
            "latitude": 49.5,
            "longitude": 5.9,
        },
    ],
    "gateways": [
        {
            "id": "cab-centre-1",
            "territory": "pays-haut",
            "site": "centre",
            "uplink": {"host": "broker.example.org", "protocol": "5"},
            "buses": {"line1": {"host": "192.168.1.20", "port": 5020}},
        },
        {"id": "gate-1", "territory": "pays-haut", "site": "recyclerie"},
        {"id": "cab-gare-1", "territory": "val-bas", "site": "gare"},
    ],
    "devices": [
        {
            "gateway": "cab-centre-1",
            "id": "feeder",
            "kind": "feeder",
            "bus": "line1",
            "unit": 1,
            "profile": "eastron-sdm630",
        },
        *(
            {
                "gateway": "cab-centre-1",
                "id": f"lamp-{index:02d}",
                "kind": "light",
                "bus": "line1",
                "unit": 2,
                "index": index,
                "profile": "eclor-luminaire",
                "interval_s": 10.0,
                "window_s": 60,
            }
            for index in range(4)
        ),
        {"gateway": "cab-centre-1", "id": "counter", "kind": "passage"},
        {"gateway": "gate-1", "id": "entry", "kind": "passage"},
        {"gateway": "gate-1", "id": "exit", "kind": "passage"},
        {"gateway": "cab-gare-1", "id": "lamp-00", "kind": "light"},
    ],
    "groups": [
        {
            "territory": "pays-haut",
            "id": "rue-du-centre",
            "name": "Rue du Centre",
            "gateway": "cab-centre-1",
            "devices": ["lamp-00", "lamp-01", "lamp-02"],
            "rated_power_w": 40.0,
            "baseline_power_w": 110.0,
            "baseline_name": "sodium 100 W, 2019",
            "reduced_levels": [75.0, 50.0],
            "counter": "cab-centre-1/counter",
            "capacity_per_h": 900.0,
        }
    ],
    "facilities": [
        {
            "territory": "pays-haut",
            "site": "recyclerie",
            "id": "recyclerie-nord",
            "name": "Déchèterie Nord",
            "bays": 6,
            "mean_service_s": 420.0,
            "opening": {"mon": [["09:00", "12:00"], ["14:00", "18:00"]]},
            "entry": "gate-1/entry",
            "exit": "gate-1/exit",
        }
    ],
}


def settings(database_url: str) -> Settings:
    return Settings(
        database=Database(url=database_url), api=Api(pool_max=4, statement_timeout_s=20.0)
    )


async def make_key(
    database_url: str, *scopes: Scope, territory: str | None = None, name: str = "test"
) -> str:
    """The text of a new key."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as conn:
        key = await keys.create(
            conn, name=name, scopes=scopes, territory=territory, expires_at=None, actor="console"
        )
    return key.text


@asynccontextmanager
async def api(database_url: str, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, in the same event loop; `key` is sent with every request."""
    app = create_app(settings(database_url))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api/api/v1", headers=bearer(key)
        ) as client,
    ):
        yield client


def bearer(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


@asynccontextmanager
async def world(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with every right, over a database that holds DOCUMENT."""
    key = await make_key(database_url, Scope.ADMIN)
    async with api(database_url, key) as client:
        answer = await client.post("/registry", json=DOCUMENT)
        assert answer.status_code == 200, answer.text
        yield client
