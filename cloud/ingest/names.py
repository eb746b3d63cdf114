"""Names of a gateway's devices and points to ids, registering those that nobody declared.

A known gateway may send data of a device before a person has declared it (a lamp was added on
site): the data is kept and the device marked `provisioned = false`. How many such devices and how
many points a gateway may bring is bounded; a batch beyond the bound goes to quarantine.
"""

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from cloud.ingest import columns, rows
from cloud.ingest.columns import Batch
from cloud.ingest.delivery import Fault
from cloud.ingest.ledger import SQL
from cloud.ingest.rows import RowError
from cloud.settings import Ingest
from cloud.storage.copy import Rows
from protocols import batch as row_wise
from protocols.quantities import Kind

Point = tuple[str, str]
"""Device name and point."""
Devices = dict[int, dict[str, int]]
"""device_id by gateway_id and device name."""
Points = dict[int, dict[Point, int]]
"""series_id by gateway_id and point."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Named:
    """A batch of a known gateway, with the points of its samples."""

    gateway_id: int
    batch: Batch
    points: frozenset[Point]

    @property
    def devices(self) -> dict[str, Kind]:
        return {name: block.kind for block in self.batch.blocks for name, _ in block.devices}


def resolve(
    conn: psycopg.Connection,
    batches: Sequence[tuple[int, Batch | row_wise.Batch]],
    limits: Ingest,
) -> list[tuple[Rows, ...] | Fault]:
    """Table rows of each (gateway_id, batch), or why it has none.

    A batch was received, or made in this process by rows. Registers what is new, so it runs in
    the transaction that stores the rows.
    """
    results: list[Named | Fault] = [_named(gateway, batch) for gateway, batch in batches]
    gateways = sorted({gateway for gateway, _ in batches})
    devices = _register_devices(conn, gateways, results, limits.undeclared_devices)
    points = _register_points(conn, gateways, results, devices, limits.points_per_gateway)
    return [
        result if isinstance(result, Fault) else _rows(result, devices, points)
        for result in results
    ]


def _named(gateway_id: int, given: Batch | row_wise.Batch) -> Named | Fault:
    batch = given if isinstance(given, Batch) else columns.of_rows(given)
    samples = [block for block in batch.blocks if block.kind is Kind.SAMPLE]
    try:
        points = frozenset(key for block in samples for key in rows.series_keys(block))
    except RowError as exc:
        return Fault("bad_value", str(exc))
    return Named(gateway_id, batch, points)


def _rows(named: Named, devices: Devices, points: Points) -> tuple[Rows, ...] | Fault:
    try:
        return tuple(
            rows.table_rows(block, points[named.gateway_id])
            if block.kind is Kind.SAMPLE
            else rows.table_rows(block, devices[named.gateway_id])
            for block in named.batch.blocks
            if len(block)
        )
    except RowError as exc:
        return Fault("bad_value", str(exc))


def _grant(
    results: list[Named | Fault],
    wanted: Sequence[AbstractSet[_T]],
    used: dict[int, int],
    *,
    allowed: int,
    reason: str,
) -> set[tuple[int, _T]]:
    """What may be registered, first come first served; a batch beyond its bound becomes a Fault."""
    granted: set[tuple[int, _T]] = set()
    for i, (result, names) in enumerate(zip(results, wanted, strict=True)):
        if isinstance(result, Fault):
            continue
        gateway = result.gateway_id
        new = {(gateway, name) for name in names} - granted
        if new and used[gateway] + len(new) > allowed:
            detail = f"{len(new)} new ones, where {used[gateway]} of {allowed} are used"
            results[i] = Fault(reason, detail)
            continue
        used[gateway] += len(new)
        granted |= new
    return granted


def _register_devices(
    conn: psycopg.Connection, gateways: list[int], results: list[Named | Fault], allowed: int
) -> Devices:
    known = _devices(conn, gateways)
    wanted = [
        set[str]() if isinstance(r, Fault) else r.devices.keys() - known[r.gateway_id].keys()
        for r in results
    ]
    if not any(wanted):
        return known
    used: dict[int, int] = defaultdict(int, conn.execute(SQL["undeclared"], (gateways,)).fetchall())
    kinds = {
        (r.gateway_id, name): kind
        for r in results
        if not isinstance(r, Fault)
        for name, kind in r.devices.items()
    }
    granted = _grant(results, wanted, used, allowed=allowed, reason="too_many_devices")
    new = sorted(granted)
    parameters = {
        "gateway": [gateway for gateway, _ in new],
        "name": [name for _, name in new],
        "kind": [kinds[key].label for key in new],
    }
    conn.execute(SQL["register_devices"], parameters)
    return _devices(conn, gateways)


def _register_points(
    conn: psycopg.Connection,
    gateways: list[int],
    results: list[Named | Fault],
    devices: Devices,
    allowed: int,
) -> Points:
    wanted = [frozenset[Point]() if isinstance(r, Fault) else r.points for r in results]
    if not any(wanted):
        return {}
    known = _points(conn, gateways)
    missing = [
        names if isinstance(r, Fault) else names - known[r.gateway_id].keys()
        for r, names in zip(results, wanted, strict=True)
    ]
    if not any(missing):
        return known
    used = defaultdict(int, {gateway: len(points) for gateway, points in known.items()})
    granted = _grant(results, missing, used, allowed=allowed, reason="too_many_points")
    new = sorted((devices[gateway][device], point) for gateway, (device, point) in granted)
    parameters = {"device": [device for device, _ in new], "point": [point for _, point in new]}
    conn.execute(SQL["register_series"], parameters)
    return _points(conn, gateways)


def _devices(conn: psycopg.Connection, gateways: list[int]) -> Devices:
    devices: Devices = defaultdict(dict)
    for gateway_id, name, device_id in conn.execute(SQL["devices"], (gateways,)).fetchall():
        devices[gateway_id][name] = device_id
    return devices


def _points(conn: psycopg.Connection, gateways: list[int]) -> Points:
    points: Points = defaultdict(dict)
    for gateway_id, device, point, series_id in conn.execute(SQL["series"], (gateways,)).fetchall():
        points[gateway_id][device, point] = series_id
    return points
