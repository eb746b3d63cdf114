"""Latest rows by pages of any size: each once, in the order of names, whoever lacks a row."""

import psycopg
import pytest

from cloud.readings.latest import Place, Whose, latest
from protocols.quantities import Kind

GATEWAYS = 21
"""More than are asked for at once."""


@pytest.fixture
def places(migrated_database_url: str) -> list[Place]:
    """Gateways of two devices; every third has a lamp's row, every fifth none of any kind."""
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        conn.execute(
            "with t as (insert into territory (slug, name) values ('pays', 'Pays')"
            "           returning territory_id),"
            " s as (insert into site (territory_id, slug, name, kind, latitude, longitude)"
            "       select territory_id, 'centre', 'Centre', 'cabinet', 49.5, 5.8 from t"
            "       returning site_id)"
            " insert into gateway (site_id, name)"
            " select site_id, 'gw-' || lpad((n * 8 %% %(n)s)::text, 2, '0')"
            " from s, generate_series(0, %(n)s - 1) n",
            {"n": GATEWAYS},
        )
        conn.execute(
            "insert into device (gateway_id, name, kind) select gateway_id, d, 'light'"
            " from gateway, unnest('{Lamp,lamp-b}'::text[]) d"
            " where right(gateway.name, 2)::int % 5 > 0"
        )
        conn.execute(
            "insert into latest_light (t, device_id, window_s, quality)"
            " select '2026-01-01', device_id, 60, 0 from device join gateway g using (gateway_id)"
            " where right(g.name, 2)::int % 3 = 0"
        )
        conn.execute(
            "with s as (insert into series (device_id, point)"
            "  select device_id, p from device, unnest('{b,a}'::text[]) p where name = 'Lamp'"
            "  returning series_id)"
            " insert into latest_sample (t, series_id, window_s, quality)"
            " select '2026-01-01', series_id, 0, 0 from s"
        )
    numbers = [n for n in range(GATEWAYS) if n % 5]
    return [(f"gw-{n:02d}", device, "") for n in numbers for device in ("Lamp", "lamp-b")]


async def _paged(url: str, kind: Kind, size: int) -> list[Place]:
    found: list[Place] = []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        while True:
            after = found[-1] if found else None
            page = await latest(conn, Whose(kind, "pays", None, after), limit=size)
            found += [(row.gateway, row.device, row.point) for row in page]
            if len(page) < size:
                return found


@pytest.mark.parametrize("size", [1, 4, 1_000])
async def test_pages_of_any_size_hold_every_row_once_in_order(
    migrated_database_url: str, places: list[Place], size: int
) -> None:
    wanted = [place for place in places if int(place[0][-2:]) % 3 == 0]
    assert await _paged(migrated_database_url, Kind.LIGHT, size) == wanted
    samples = [(g, d, point) for g, d, _ in places if d == "Lamp" for point in ("a", "b")]
    assert await _paged(migrated_database_url, Kind.SAMPLE, size) == samples
    assert await _paged(migrated_database_url, Kind.FEEDER, size) == []
