"""A small territory with a past, written straight into the database for lighting and waiting.

Two cabinets (one group each), a road counter, a recycling centre with three counters. Readings
are made by the tests that need them, around NOW_US.
"""

from datetime import UTC, datetime, timedelta

import psycopg
from psycopg.types.json import Jsonb

from cloud.storage import editions
from protocols.quantities import Kind
from protocols.time import from_datetime

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
"""A Saturday, 10:30 in Paris."""
NOW_US = from_datetime(NOW)

LAMPS = 4
WEEK = {
    day: [["09:00", "12:00"], ["14:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "sat")
}
BASELINE = "SHP 110 W, du coucher au lever du soleil"


def seed(conn: psycopg.Connection) -> dict[str, int]:
    """The registry; device keys by "gateway/device"."""
    territory = _key(
        conn,
        "insert into territory (slug, name) values ('alzette', 'Pays de l''Alzette')"
        " returning territory_id",
    )
    ids: dict[str, int] = {}
    for name, kind in (
        ("centre", "cabinet"),
        ("gare", "cabinet"),
        ("dechetterie", "recycling_centre"),
    ):
        site = _key(
            conn,
            "insert into site (territory_id, slug, name, kind, latitude, longitude)"
            " values (%s, %s, %s, %s, 49.52, 5.77) returning site_id",
            (territory, name, name.capitalize(), kind),
        )
        gateway = _key(
            conn,
            "insert into gateway (site_id, name) values (%s, %s) returning gateway_id",
            (site, f"gw-{name}"),
        )
        ids[f"site:{name}"], ids[f"gateway:{name}"] = site, gateway
    ids["territory"] = territory
    for name in ("centre", "gare"):
        for lamp in range(LAMPS):
            _device(conn, ids, name, f"lamp-{lamp:02d}", "light")
        _device(conn, ids, name, "feeder", "feeder")
    _device(conn, ids, "centre", "road", "passage")
    for gate in ("tail", "entry", "exit"):
        _device(conn, ids, "dechetterie", gate, "passage")
    _group(conn, ids, "centre", counter=ids["centre/road"], capacity=600.0)
    _group(conn, ids, "gare", counter=None, capacity=None)
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s, opening, tail_device_id,"
        " entry_device_id, exit_device_id)"
        " values (%s, 'dechetterie', 'Déchèterie de Villerupt', 6, 672, %s, %s, %s, %s)",
        (
            ids["site:dechetterie"],
            Jsonb(WEEK),
            ids["dechetterie/tail"],
            ids["dechetterie/entry"],
            ids["dechetterie/exit"],
        ),
    )
    return ids


def passages(
    conn: psycopg.Connection,
    device_id: int,
    counts: list[tuple[datetime, int]],
    *,
    window_s: int = 60,
) -> None:
    """Rows of a counter: (start of the window, cars)."""
    _partitions(conn, Kind.PASSAGE, [t for t, _ in counts])
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into passage_reading (t, device_id, window_s, quality, forward_count,"
            " backward_count, forward_total, backward_total, status)"
            " values (%s, %s, %s, 0, %s, 0, 0, 0, 0)",
            [(t, device_id, window_s, count) for t, count in counts],
        )
    last = max(t for t, _ in counts)
    conn.execute(
        "insert into latest_passage (t, device_id, window_s, quality, status)"
        " values (%s, %s, %s, 0, 0) on conflict (device_id) do update set t = excluded.t",
        (last, device_id, window_s),
    )


def samples(
    conn: psycopg.Connection, device_id: int, point: str, values: list[tuple[datetime, float]]
) -> None:
    """Samples of one point of a device."""
    series = _key(
        conn,
        "insert into series (device_id, point) values (%s, %s) returning series_id",
        (device_id, point),
    )
    _partitions(conn, Kind.SAMPLE, [t for t, _ in values])
    for t, value in values:
        conn.execute(
            "insert into sample_reading (t, series_id, window_s, quality, value)"
            " values (%s, %s, 60, 0, %s)",
            (t, series, value),
        )


def minutes(start: datetime, counts: list[int]) -> list[tuple[datetime, int]]:
    """Counts of consecutive minutes from `start`."""
    return [(start + timedelta(minutes=i), count) for i, count in enumerate(counts)]


def feeder_energy(
    conn: psycopg.Connection, device_id: int, readings: list[tuple[datetime, int]]
) -> None:
    """Rows of a meter: (start of the window of 60 s, Wh at its end)."""
    _partitions(conn, Kind.FEEDER, [t for t, _ in readings])
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into feeder_reading (t, device_id, window_s, quality, energy_import_wh)"
            " values (%s, %s, 60, 0, %s)",
            [(t, device_id, wh) for t, wh in readings],
        )


def lamp_rows(
    conn: psycopg.Connection, device_ids: list[int], rows: list[tuple[datetime, float, float]]
) -> None:
    """Rows of lamps: (start, level, power), the last of them also as the latest."""
    _partitions(conn, Kind.LIGHT, [t for t, _, _ in rows])
    with conn.cursor() as cursor:
        for table in ("light_reading", "latest_light"):
            kept = rows if table == "light_reading" else [max(rows)]
            cursor.executemany(
                f"insert into {table} (t, device_id, window_s, quality, level_pct,"  # noqa: S608
                " target_pct, power_w, status) values (%s, %s, 60, 0, %s, %s, %s, 0)",
                [(t, d, level, level, power) for t, level, power in kept for d in device_ids],
            )


def _partitions(conn: psycopg.Connection, kind: Kind, instants: list[datetime]) -> None:
    days = sorted({t.date() for t in instants})
    wanted = [from_datetime(datetime(d.year, d.month, d.day, tzinfo=UTC)) for d in days]
    with conn.transaction():
        editions.ensure_partitions(conn, [kind], wanted)


def _device(
    conn: psycopg.Connection, ids: dict[str, int], gateway: str, name: str, kind: str
) -> None:
    ids[f"{gateway}/{name}"] = _key(
        conn,
        "insert into device (gateway_id, name, kind) values (%s, %s, %s) returning device_id",
        (ids[f"gateway:{gateway}"], name, kind),
    )


def _group(
    conn: psycopg.Connection,
    ids: dict[str, int],
    name: str,
    *,
    counter: int | None,
    capacity: float | None,
) -> None:
    group = _key(
        conn,
        "insert into lighting_group (territory_id, gateway_id, slug, name, rated_power_w,"
        " baseline_power_w, baseline_name, reduced_levels, counter_device_id, capacity_per_h)"
        " values (%s, %s, %s, %s, 45, 110, %s, '[75, 50]', %s, %s) returning group_id",
        (
            ids["territory"],
            ids[f"gateway:{name}"],
            f"rue-{name}",
            f"Rue {name}",
            BASELINE,
            counter,
            capacity,
        ),
    )
    ids[f"group:{name}"] = group
    for lamp in range(LAMPS):
        conn.execute(
            "insert into lighting_group_member values (%s, %s)",
            (group, ids[f"{name}/lamp-{lamp:02d}"]),
        )


def _key(conn: psycopg.Connection, statement: str, parameters: tuple[object, ...] = ()) -> int:
    row = conn.execute(statement.encode(), parameters).fetchone()
    assert row is not None
    return int(row[0])
