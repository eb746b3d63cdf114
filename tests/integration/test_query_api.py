"""Ranges by resolution, energy by day, exports and maps: what analysts and portals ask."""

import asyncio
import csv
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import nanoarrow
import psycopg
import pytest
import uvicorn

from cloud.api.app import create_app
from cloud.export.stream import Turns
from cloud.keys.model import Scope
from cloud.readings.sources import Resolution, choose
from cloud.settings import Api, Database, Settings
from protocols.quantities import Kind
from tests.integration import rollup_rows
from tests.integration.api_world import api, bearer, make_key, settings, world
from tests.integration.test_readings_api import encoded, lamps, post

pytestmark = pytest.mark.database

LAMP = {"kind": "light", "gateway": "cab-centre-1", "device": "lamp-00"}
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "span", "raw_from", "chosen"),
    [
        (Kind.LIGHT, timedelta(days=1), LONG_AGO, Resolution.RAW),
        (Kind.LIGHT, timedelta(days=2), LONG_AGO, Resolution.RAW),
        (Kind.LIGHT, timedelta(days=3), LONG_AGO, Resolution.HOUR),
        (Kind.LIGHT, timedelta(days=62), LONG_AGO, Resolution.HOUR),
        (Kind.LIGHT, timedelta(days=63), LONG_AGO, Resolution.DAY),
        (Kind.LIGHT, timedelta(hours=1), JANUARY + timedelta(days=1), Resolution.HOUR),
        (Kind.GAP, timedelta(days=300), LONG_AGO, Resolution.RAW),
    ],
)
def test_a_range_is_answered_as_finely_as_it_is_short_and_as_there_are_rows(
    kind: Kind, span: timedelta, raw_from: datetime, chosen: Resolution
) -> None:
    assert choose(kind, JANUARY, JANUARY + span, raw_from=raw_from) is chosen


async def test_a_range_says_its_resolution_and_gives_hours_and_days_of_the_rollups(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        with psycopg.connect(migrated_database_url) as conn:
            lamp = rollup_rows.device_id(conn, "cab-centre-1", "lamp-00")
            rollup_rows.hours(conn, lamp, JANUARY, 30)
            rollup_rows.days(conn, lamp, date(2026, 3, 28), [900, 800, 700])
        span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-10T00:00:00Z"}
        page = (await client.get("/readings", params=LAMP | span)).json()
        assert page["resolution"] == "hour"
        assert len(page["items"]) == 30
        first = page["items"][0]
        assert (first["window_s"], first["values"]["power_w_mean"]) == (3600, 40.0)
        assert first["values"]["energy_wh"] == 40
        assert not any(name.endswith(("_first", "_inside", "_s")) for name in first["values"]) or {
            name for name in first["values"] if name.endswith("_s")
        } == {"covered_s", "energy_wh_span_s"}
        span = {"from": "2026-01-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
        page = (await client.get("/readings", params=LAMP | span)).json()
        assert page["resolution"] == "day"
        # The day of the change to summer time has 23 hours.
        told = [(row["values"]["day"], row["window_s"]) for row in page["items"]]
        assert told == [("2026-03-28", 86400), ("2026-03-29", 82800), ("2026-03-30", 86400)]


@pytest.mark.parametrize("resolution", ["hour", "day"])
async def test_pages_of_buckets_hold_every_bucket_once(
    migrated_database_url: str, resolution: str
) -> None:
    async with world(migrated_database_url) as client:
        with psycopg.connect(migrated_database_url) as conn:
            for name in ("lamp-00", "lamp-01"):
                lamp = rollup_rows.device_id(conn, "cab-centre-1", name)
                rollup_rows.hours(conn, lamp, JANUARY, 5)
                rollup_rows.days(conn, lamp, date(2026, 1, 2), [900] * 5)
        params: dict[str, Any] = {"kind": "light", "gateway": "cab-centre-1", "limit": 3}
        params |= {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
        found: list[tuple[str, str]] = []
        cursor: dict[str, str] = {"resolution": resolution}
        while True:
            # The cursor carries the resolution: it need not be said again.
            page = (await client.get("/readings", params=params | cursor)).json()
            assert page["resolution"] == resolution
            found += [(row["device"], row["t"]) for row in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert len(found) == len(set(found)) == 10
        assert found == sorted(found)


async def test_a_cursor_of_another_listing_is_refused(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        for cursor in ("WzEsMiwzXQ", "WzEsMiwzLCJ3ZWVrIl0", "eA"):  # [1,2,3], [1,2,3,"week"], x
            answer = await client.get("/readings", params=LAMP | span | {"cursor": cursor})
            assert answer.status_code == 422


async def test_records_have_no_hours_and_the_answer_says_what_to_ask_instead(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        params = {"kind": "gap", "gateway": "cab-centre-1", "resolution": "hour"}
        params |= {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        answer = await client.get("/readings", params=params)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["remedy"].startswith("ask for resolution=raw")


async def test_energy_is_summed_by_group_gateway_site_and_territory(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        with psycopg.connect(migrated_database_url) as conn:
            for name, energies in (("lamp-00", [100, 110]), ("lamp-01", [200, None])):
                lamp = rollup_rows.device_id(conn, "cab-centre-1", name)
                rollup_rows.days(conn, lamp, date(2026, 1, 1), energies)
            alone = rollup_rows.device_id(conn, "cab-centre-1", "lamp-03")  # in no group
            rollup_rows.days(conn, alone, date(2026, 1, 1), [1000])
            far = rollup_rows.device_id(conn, "cab-gare-1", "lamp-00")
            rollup_rows.days(conn, far, date(2026, 1, 1), [7])
            feeder = rollup_rows.device_id(conn, "cab-centre-1", "feeder")
            rollup_rows.days(
                conn,
                feeder,
                date(2026, 1, 1),
                [1500],
                table="feeder_day",
                counter="energy_import_wh",
            )
        span = {"from": "2026-01-01", "to": "2026-02-01"}

        async def told(**asked: str) -> list[tuple[Any, ...]]:
            answer = await client.get("/energy", params=span | asked)
            assert answer.status_code == 200, answer.text
            keys = ("name", "day", "energy_wh", "counted", "devices", "coverage_pct")
            return [tuple(row[key] for key in keys) for row in answer.json()["items"]]

        assert await told(by="group") == [
            ("rue-du-centre", "2026-01-01", 300, 2, 3, 66.7),
            ("rue-du-centre", "2026-01-02", 110, 1, 3, 33.3),
        ]
        assert await told(by="territory") == [
            ("pays-haut", "2026-01-01", 1300, 3, 4, 75.0),
            ("val-bas", "2026-01-01", 7, 1, 1, 100.0),
            ("pays-haut", "2026-01-02", 110, 1, 4, 25.0),
        ]
        assert await told(by="site", territory="val-bas") == [
            ("gare", "2026-01-01", 7, 1, 1, 100.0)
        ]
        assert await told(by="gateway", meter="feeder") == [
            ("cab-centre-1", "2026-01-01", 1500, 1, 1, 100.0)
        ]
        refused = await client.get("/energy", params=span | {"by": "group", "meter": "feeder"})
        assert refused.status_code == 422
        assert "by=gateway" in refused.json()["detail"]


async def test_pages_of_energy_hold_every_day_once(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        with psycopg.connect(migrated_database_url) as conn:
            for gateway in ("cab-centre-1", "cab-gare-1"):
                lamp = rollup_rows.device_id(conn, gateway, "lamp-00")
                rollup_rows.days(conn, lamp, date(2026, 1, 1), [100] * 4)
        url: str | None = "/energy?by=gateway&from=2026-01-01&to=2026-02-01&limit=3"
        found: list[tuple[str, str]] = []
        while url is not None:
            answer = await client.get(url)
            found += [(row["day"], row["name"]) for row in answer.json()["items"]]
            url = answer.links["next"]["url"].removeprefix("/api/v1") if answer.links else None
        assert len(found) == len(set(found)) == 8
        assert found == sorted(found)


async def test_an_export_holds_every_row_as_csv_and_as_arrow(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, [row for m in range(5) for row in lamps(m)]))
        span = {"kind": "light", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        answer = await client.get("/export/readings", params=span)
        assert answer.headers["Content-Type"].startswith("text/csv")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="light-raw.csv"'
        assert answer.headers["Eclor-Resolution"] == "raw"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert len(rows) == 15
        assert rows[1] == {
            "gateway": "cab-centre-1",
            "device": "lamp-00",
            "t": "2026-01-01T00:01:00+00:00",
            "window_s": "60",
            "quality": "0",
            "level_pct": "50.0",
            "target_pct": "",
            "power_w": "20.1",
            "energy_wh": "1001",
            "voltage_v": "",
            "temperature_c": "",
            "status": "",
            "level_min_pct": "",
            "level_max_pct": "",
            "power_min_w": "",
            "power_max_w": "",
            "coverage_pct": "",
        }
        answer = await client.get("/export/readings", params=span | {"format": "arrow"})
        table = nanoarrow.ArrayStream.from_readable(answer.content).read_all().to_pylist()
        assert [(row["device"], row["t"], row["energy_wh"], row["status"]) for row in table] == [
            (row["device"], datetime.fromisoformat(row["t"]), int(row["energy_wh"]), None)
            for row in rows
        ]


async def test_an_export_is_paged_inside_and_complete(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.export.stream.ROWS_A_PAGE", 4)
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, [row for m in range(5) for row in lamps(m)]))
        span = {"kind": "light", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        answer = await client.get("/export/readings", params=span | {"format": "arrow"})
        table = nanoarrow.ArrayStream.from_readable(answer.content).read_all().to_pylist()
        assert len({(row["device"], row["t"]) for row in table}) == len(table) == 15


async def test_an_export_of_days_of_nothing_is_a_file_with_a_head(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        span = {"kind": "sample", "from": "2026-01-01T00:00:00Z", "to": "2026-12-01T00:00:00Z"}
        answer = await client.get("/export/readings", params=span)
        assert answer.headers["Eclor-Resolution"] == "day"
        assert answer.text.startswith("gateway,device,point,t,window_s,quality,day,rows,")
        answer = await client.get("/export/readings", params=span | {"format": "arrow"})
        stream = nanoarrow.ArrayStream.from_readable(answer.content)
        assert stream.schema.fields[6].name == "day"
        assert stream.read_all().to_pylist() == []


async def test_limits_of_an_export_say_how_to_ask_instead(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        span = {"kind": "light", "from": "2026-01-01T00:00:00Z", "to": "2026-06-01T00:00:00Z"}
        answer = await client.get("/export/readings", params=span | {"resolution": "raw"})
        assert answer.status_code == 422
        assert "by the month, by gateway" in answer.json()["detail"]
        span |= {"gateway": "cab-centre-1"}
        answer = await client.get("/export/readings", params=span | {"resolution": "raw"})
        assert answer.status_code == 200


async def test_one_export_too_many_is_told_to_come_again(migrated_database_url: str) -> None:
    key = await make_key(migrated_database_url, Scope.READ)
    app = create_app(settings(migrated_database_url))
    app.state.exports = Turns(0)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", headers=bearer(key)
        ) as client,
    ):
        span = {"kind": "light", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        answer = await client.get("/api/v1/export/readings", params=span)
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == "30"
        assert answer.json()["type"] == "urn:eclor:problem:too-many-exports"
        app.state.exports = turns = Turns(1)
        for _ in range(2):  # each gives its turn back
            answer = await client.get("/api/v1/export/readings", params=span)
            assert answer.status_code == 200
        turns.take()


async def test_an_export_that_cannot_be_finished_is_an_error_for_the_client(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real socket: the missing end of the stream is what the client notices."""
    monkeypatch.setattr("cloud.export.stream.ROWS_A_PAGE", 4)
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, [row for m in range(5) for row in lamps(m)]))
    key = await make_key(migrated_database_url, Scope.READ)
    async with _served(migrated_database_url) as base:
        with psycopg.connect(migrated_database_url, autocommit=True) as conn:
            conn.execute("alter table device rename to device_away")
            conn.execute(
                "create function once(int) returns int language plpgsql as"
                " $$begin raise exception 'gone'; end$$"
            )
            conn.execute(
                "create view device as select * from device_away"
                " where device_id > 0 and (name <> 'lamp-02' or once(1) = 1)"
            )
        span = {"kind": "light", "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
        async with httpx.AsyncClient(base_url=base, headers=bearer(key)) as real:
            with pytest.raises(httpx.RemoteProtocolError):
                await real.get("/api/v1/export/readings", params=span)


@asynccontextmanager
async def _served(database_url: str) -> AsyncIterator[str]:
    """The application behind uvicorn on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        config = uvicorn.Config(create_app(settings(database_url)), log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


async def test_maps_hold_sites_and_devices_with_their_latest(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, lamps(0)))
        answer = await client.get("/sites.geojson", params={"territory": "pays-haut"})
        assert answer.headers["Content-Type"] == "application/geo+json"
        sites = answer.json()
        assert sites["type"] == "FeatureCollection"
        assert sites["features"][0] == {
            "type": "Feature",
            "id": "pays-haut/centre",
            "geometry": {"type": "Point", "coordinates": [5.77, 49.52]},
            "properties": {
                "territory": "pays-haut",
                "site": "centre",
                "name": "Rue du Centre",
                "kind": "cabinet",
                "gateways": 1,
            },
        }
        again = await client.get(
            "/sites.geojson",
            params={"territory": "pays-haut"},
            headers={"If-None-Match": answer.headers["ETag"]},
        )
        assert again.status_code == 304
        devices = (await client.get("/devices.geojson", params={"kind": "light"})).json()
        latest = {f["id"]: f["properties"]["latest"] for f in devices["features"]}
        assert latest["cab-centre-1/lamp-00"]["values"]["level_pct"] == 50.0
        assert latest["cab-centre-1/lamp-03"] is None
        everything = (await client.get("/devices.geojson")).json()["features"]
        assert len(everything) == 9
        assert "latest" not in everything[0]["properties"]


async def test_nothing_of_another_territory_is_told(migrated_database_url: str) -> None:
    """Every listing of this module with a key of Val-Bas, over rows of both territories."""
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, lamps(0)))
        with psycopg.connect(migrated_database_url) as conn:
            for gateway in ("cab-centre-1", "cab-gare-1"):
                lamp = rollup_rows.device_id(conn, gateway, "lamp-00")
                rollup_rows.days(conn, lamp, date(2026, 1, 1), [100])
    key = await make_key(migrated_database_url, Scope.READ, territory="val-bas")
    span = "from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z"
    async with api(migrated_database_url, key) as client:
        for path in (
            "/latest?kind=light",
            "/sites.geojson",
            "/devices.geojson?kind=light",
            "/energy?by=territory&from=2026-01-01&to=2026-02-01",
            "/energy?by=gateway&from=2026-01-01&to=2026-02-01",
            f"/export/readings?kind=light&{span}",
            f"/export/readings?kind=light&resolution=day&{span}",
        ):
            answer = await client.get(path)
            assert answer.status_code == 200, path
            assert "cab-centre-1" not in answer.text, path
            assert "pays-haut" not in answer.text, path
        for path in (
            "/latest?kind=light&territory=pays-haut",
            "/sites.geojson?territory=pays-haut",
            "/devices.geojson?gateway=cab-centre-1",
            "/energy?by=group&from=2026-01-01&to=2026-02-01&territory=pays-haut",
            f"/readings?kind=light&gateway=cab-centre-1&{span}",
            f"/export/readings?kind=light&gateway=cab-centre-1&{span}",
            f"/export/readings?kind=light&territory=pays-haut&{span}",
        ):
            answer = await client.get(path)
            assert answer.status_code == 404, path
            assert json.loads(answer.content)["type"] == "urn:eclor:problem:not-found"


async def test_a_query_that_takes_too_long_says_what_to_ask_instead(
    migrated_database_url: str,
) -> None:
    key = await make_key(migrated_database_url, Scope.READ)
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        conn.execute("alter table site rename to site_away")
        conn.execute("create view site as select s.* from site_away s, pg_sleep(30)")
    slow = Settings(
        database=Database(url=migrated_database_url), api=Api(pool_max=2, statement_timeout_s=0.2)
    )
    app = create_app(slow)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", headers=bearer(key)
        ) as client,
    ):
        answer = await client.get("/api/v1/sites.geojson")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        problem = answer.json()
        assert problem["type"] == "urn:eclor:problem:too-slow"
        assert "shorter range or fewer devices" in problem["detail"]
