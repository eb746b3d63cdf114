"""Line protocol over HTTP into the real tables, also by InfluxDB's own client."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import psycopg
import pytest
import uvicorn
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException

from cloud.api.app import create_app
from cloud.keys.model import Scope
from cloud.lineprotocol.routes import MAX_PLAIN_BYTES
from cloud.settings import Api, Database, Ingest, Settings
from tests.integration.api_world import api, bearer, make_key, world

pytestmark = pytest.mark.database

T = 1_767_225_600  # 2026-01-01T00:00:00Z
URL = "http://api/api/v2/write"
TO = {"bucket": "cab-centre-1", "precision": "s", "org": "eclor"}


def stored(database_url: str) -> list[tuple[str, str, float]]:
    with psycopg.connect(database_url) as conn:
        return conn.execute(
            "select d.name, s.point, r.value from sample_reading r join series s using (series_id)"
            " join device d using (device_id) order by r.t, d.name, s.point"
        ).fetchall()


async def test_lines_become_samples_and_the_same_lines_change_nothing(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        body = f"weather,device=roof t_c=21.5,wet=t {T}\nweather,device=roof t_c=22 {T + 60}"
        first = await client.post(URL, params=TO, content=body)
        assert (first.status_code, first.content) == (204, b"")
        assert (first.headers["Eclor-Stored"], first.headers["Eclor-Repeated"]) == ("3", "0")
        again = await client.post(URL, params=TO, content=body)
        assert again.status_code == 204
        assert (again.headers["Eclor-Stored"], again.headers["Eclor-Repeated"]) == ("0", "3")
        assert stored(migrated_database_url) == [
            ("roof", "weather.t_c", 21.5),
            ("roof", "weather.wet", 1.0),
            ("roof", "weather.t_c", 22.0),
        ]
        latest = (await client.get("/latest?kind=sample")).json()["items"]
        assert [(row["point"], row["values"]["value"]) for row in latest] == [
            ("weather.t_c", 22.0),
            ("weather.wet", 1.0),
        ]
        with psycopg.connect(migrated_database_url) as conn:
            marks = conn.execute("select distinct kind, hour from rollup_dirty").fetchall()
        assert marks == [(5, datetime(2026, 1, 1, tzinfo=UTC))]


async def test_gzip_is_taken_and_its_bomb_is_not(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        headers = {"Content-Encoding": "gzip"}
        body = gzip.compress(f"roof t_c=1 {T}".encode())
        answer = await client.post(URL, params=TO, content=body, headers=headers)
        assert answer.status_code == 204
        bomb = gzip.compress(b"#" * (MAX_PLAIN_BYTES + 1))
        answer = await client.post(URL, params=TO, content=bomb, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "request too large")
        for damaged in (body[:-4], b"no gzip"):
            answer = await client.post(URL, params=TO, content=damaged, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


async def test_every_member_of_a_gzip_body_is_taken(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        headers = {"Content-Encoding": "gzip"}
        members = [gzip.compress(f"roof t_c={n} {T + n}\n".encode()) for n in range(3)]
        body = b"".join(members)
        answer = await client.post(URL, params=TO, content=body, headers=headers)
        assert (answer.status_code, answer.headers["Eclor-Stored"]) == (204, "3")
        half = gzip.compress(b"#" * (MAX_PLAIN_BYTES // 2))
        for beyond in (half + half + members[0], members[0] * 257):
            answer = await client.post(URL, params=TO, content=beyond, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "request too large")
        for damaged in (body[:-4], body + b"no gzip"):
            answer = await client.post(URL, params=TO, content=damaged, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        exactly = gzip.compress(b"#" * (MAX_PLAIN_BYTES - 1) + b"\n") + gzip.compress(b"")
        answer = await client.post(URL, params=TO, content=exactly, headers=headers)
        assert answer.status_code == 204


async def test_an_empty_body_is_the_test_of_a_client_and_succeeds(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        assert (await client.post(URL, params=TO, content=b"")).status_code == 204


async def test_a_partial_write_keeps_the_good_lines_and_names_the_first_bad_one(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        body = f"roof t_c=1 {T}\nroof t_c= {T}\nroof t_c=2 {T + 60}"
        answer = await client.post(URL, params=TO, content=body)
        assert answer.status_code == 400
        told = answer.json()
        assert (told["code"], told["line"]) == ("invalid", 2)
        assert told["message"].startswith("partial write: 1 of 3 lines refused, 2 values stored")
        assert len(stored(migrated_database_url)) == 2
        future = f"roof t_c=1 {T}\nroof t_c=3 {2 * T}\nroof t_c=3 0"
        answer = await client.post(URL, params=TO, content=future)
        assert answer.status_code == 422
        told = answer.json()
        assert (told["code"], told["line"]) == ("unprocessable entity", 2)
        assert "2 of 3 lines refused" in told["message"]
        assert "look at the sender's clock" in told["message"]
        assert len(stored(migrated_database_url)) == 2


async def test_who_may_write_where_is_told_in_influxdbs_words(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        body = f"roof t_c=1 {T}"
        answer = await client.post(URL, params=TO | {"bucket": "nobody"}, content=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "not found")
        answer = await client.post(URL, params={"org": "x"}, content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
        assert "bucket" in answer.json()["message"]
        tagged = f"roof,gateway=nobody t_c=1 {T}"
        answer = await client.post(URL, params=TO, content=tagged)
        assert (answer.status_code, answer.json()["line"]) == (422, 1)
        assert "add it to the registry" in answer.json()["message"]
        answer = await client.post(URL, params=TO | {"precision": "m"}, content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    async with api(migrated_database_url) as client:
        answer = await client.post(URL, params=TO, content=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    reader = await make_key(migrated_database_url, Scope.READ)
    far = await make_key(migrated_database_url, Scope.INGEST, territory="val-bas")
    async with api(migrated_database_url, reader) as client:
        answer = await client.post(URL, params=TO, content=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    async with api(migrated_database_url, far) as client:
        answer = await client.post(URL, params=TO, content=body)
        assert answer.status_code == 404
        own = TO | {"bucket": "cab-gare-1"}
        assert (await client.post(URL, params=own, content=body)).status_code == 204
        across = f"roof,gateway=cab-centre-1 t_c=1 {T}"
        assert (await client.post(URL, params=own, content=across)).status_code == 422
    assert len(stored(migrated_database_url)) == 1


async def test_devices_and_points_beyond_the_bounds_of_a_gateway_are_refused(
    migrated_database_url: str,
) -> None:
    key = await make_key(migrated_database_url, Scope.INGEST)
    async with world(migrated_database_url):
        pass
    narrow = Settings(
        database=Database(url=migrated_database_url),
        api=Api(pool_max=2),
        ingest=Ingest(undeclared_devices=1, points_per_gateway=2),
    )
    app = create_app(narrow)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), headers=bearer(key)) as client,
    ):
        answer = await client.post(URL, params=TO, content=f"roof a=1 {T}\nroof b=1 {T}")
        assert answer.status_code == 204
        for body, reason in (
            (f"roof c=1 {T}", "too_many_points"),
            (f"cellar a=1 {T}", "too_many_devices"),
        ):
            answer = await client.post(URL, params=TO, content=body)
            assert answer.status_code == 422
            assert reason in answer.json()["message"]
    assert len(stored(migrated_database_url)) == 2


async def test_a_database_that_is_away_is_an_error_worth_a_repeat() -> None:
    away = Settings(
        database=Database(url="postgresql://nobody@127.0.0.1:1/none", connect_timeout_s=1),
        api=Api(statement_timeout_s=0.2),
    )
    app = create_app(away)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client,
    ):
        key = bearer("eck_000000000000_" + "A" * 43)
        answer = await client.post(URL, params=TO, content=f"roof a=1 {T}", headers=key)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "5"


@asynccontextmanager
async def served(database_url: str) -> AsyncIterator[str]:
    settings = Settings(database=Database(url=database_url), api=Api(pool_max=4))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@pytest.mark.parametrize("packed", [True, False])
async def test_influxdbs_own_client_writes_and_understands_the_errors(
    migrated_database_url: str, *, packed: bool
) -> None:
    async with world(migrated_database_url):
        pass
    key = await make_key(migrated_database_url, Scope.INGEST, territory="pays-haut")

    def write(base: str) -> None:
        with InfluxDBClient(url=base, token=key, org="eclor", enable_gzip=packed) as client:
            writer = client.write_api(write_options=SYNCHRONOUS)
            points = [
                {
                    "measurement": "weather",
                    "tags": {"device": "roof"},
                    "fields": {"t_c": 20.0 + n, "count": n},
                    "time": datetime.fromtimestamp(T + n, UTC),
                }
                for n in range(3)
            ]
            for _ in range(2):
                writer.write(bucket="cab-centre-1", record=points)
            with pytest.raises(ApiException) as caught:
                writer.write(bucket="cab-centre-1", record="roof t_c=")
            assert caught.value.status == 400
            assert caught.value.message.startswith("partial write: 1 of 1 lines refused")
            with pytest.raises(ApiException) as caught:
                writer.write(bucket="nobody", record=points)
            assert caught.value.status == 404

    async with served(migrated_database_url) as base:
        await asyncio.to_thread(write, base)
    rows = stored(migrated_database_url)
    assert [value for _, point, value in rows if point == "weather.t_c"] == [20.0, 21.0, 22.0]
    assert len(rows) == 6
