"""A thousand recycling centres on a Saturday afternoon: registry, models, and counts by the minute.

Each plays one of the reference site's Saturday afternoons (`benchmarks/waiting_truth`), with tail,
entry and exit; its model is the one that the weeks before teach, each a little different from the
others, so that nothing which is computed for one serves another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from benchmarks.waiting_methods.case import Labelled
from benchmarks.waiting_truth.cases import play
from benchmarks.waiting_truth.design import REFERENCE
from cloud.ingest import store as ingest
from cloud.storage import editions
from cloud.storage.copy import NATIVE, Rows, copy_into
from cloud.storage.tables import TABLES
from cloud.waiting.learning import learn
from cloud.waiting.memory import Learned
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, Detector, Ints, SiteModel
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs, from_datetime

BEGINS = datetime(2026, 3, 7, 13, 0, tzinfo=UTC)
"""A Saturday, 14:00 in Paris."""

SATURDAY = 5
TAUGHT = 48
_TABLE = TABLES[Kind.PASSAGE]
_GATES = tuple(Detector)


@dataclass(frozen=True, slots=True)
class Load:
    """`rows` (openings, detectors, minutes) of cars; site n plays opening n modulo their number."""

    facilities: int
    model: SiteModel
    rows: Ints

    def models(self) -> list[Learned]:
        """One a site, all of a moment before the opening."""
        at = BEGINS - timedelta(hours=2)
        return [
            Learned(at, TAUGHT, self._model(number).to_document())
            for number in range(self.facilities)
        ]

    def _model(self, number: int) -> SiteModel:
        return replace(self.model, mean_service_s=self.model.mean_service_s * (1 + number * 1e-6))


def loaded(facilities: int, *, seed: int = 7) -> Load:
    """Openings, and what those before them teach."""
    fit, test = play(REFERENCE, seed).cases(Situation.A)
    declared = Declared(REFERENCE.bays, REFERENCE.service.overall_s)
    model = learn([one.case.counts for one in fit[-TAUGHT:]], declared)
    return Load(facilities, model, _afternoons(test))


def _afternoons(test: Sequence[Labelled]) -> Ints:
    found = [one.case.counts for one in test]
    chosen = [one for one in found if one.kind == SATURDAY and one.second >= 13 * 3600.0]
    steps = min(one.steps for one in chosen)
    rows = [[row[:steps] for row in one.rows.values() if row is not None] for one in chosen]
    return np.array(rows, dtype=np.int64)


def register(conn: psycopg.Connection, load: Load) -> Ints:
    """Territory, sites, counters, facilities; device keys (facilities, detectors)."""
    conn.execute(
        "insert into territory (slug, name, time_zone) values ('bench', 'Bench', 'Europe/Paris')"
    )
    conn.execute(
        "insert into site (territory_id, slug, name, kind, latitude, longitude)"
        " select territory_id, 'centre-' || to_char(n, 'FM0000'), 'Centre', 'recycling_centre',"
        " 49.5, 5.8"
        " from territory, generate_series(0, %s - 1) n",
        (load.facilities,),
    )
    conn.execute("insert into gateway (site_id, name) select site_id, slug from site")
    conn.execute(
        "insert into device (gateway_id, name, kind)"
        " select gateway_id, gate, 'passage' from gateway, unnest(%s::text[]) gate",
        ([one.value for one in _GATES],),
    )
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s, opening,"
        " tail_device_id, entry_device_id, exit_device_id)"
        " select s.site_id, s.slug, s.name, %s, %s, %s, t.device_id, e.device_id, x.device_id"
        " from site s join gateway g using (site_id)"
        " join device t on t.gateway_id = g.gateway_id and t.name = 'tail'"
        " join device e on e.gateway_id = g.gateway_id and e.name = 'entry'"
        " join device x on x.gateway_id = g.gateway_id and x.name = 'exit'",
        (REFERENCE.bays, REFERENCE.service.overall_s, Jsonb({"sat": [["14:00", "18:00"]]})),
    )
    conn.execute("analyze")
    found = conn.execute(
        "select tail_device_id, entry_device_id, exit_device_id from facility order by slug"
    ).fetchall()
    editions.ensure_partitions(conn, [Kind.PASSAGE], [from_datetime(BEGINS)])
    return np.array(found, dtype=np.int64)


def count(conn: psycopg.Connection, load: Load, devices: Ints, minutes: range) -> TimeUs:
    """What all counters count in these minutes; the instant at which that is known."""
    opening = np.arange(load.facilities) % len(load.rows)
    cars = load.rows[opening][:, :, minutes.start : minutes.stop]
    at_us = from_datetime(BEGINS) + np.array(minutes, dtype=np.int64) * 60 * US_PER_S
    rows = _rows(devices, at_us, cars)
    with conn.transaction():
        copy_into(conn, _TABLE.name, rows)
        ingest.update_latest(conn, rows)
    return TimeUs(from_datetime(BEGINS) + minutes.stop * 60 * US_PER_S)


def _rows(devices: Ints, at_us: Ints, cars: Ints) -> Rows:
    number = cars.size
    given = {
        "t": np.broadcast_to(at_us, cars.shape).reshape(-1),
        "device_id": np.broadcast_to(devices[:, :, None], cars.shape).reshape(-1),
        "window_s": np.full(number, 60),
        "forward_count": cars.reshape(-1),
    }
    zeros = np.zeros(number)
    columns = tuple(given.get(one.name, zeros).astype(NATIVE[one.sql]) for one in _TABLE.columns)
    return Rows(_TABLE, columns, (None,) * len(columns))
