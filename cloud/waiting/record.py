"""An estimate as a value, and the record of estimates: kept as first shown, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from cloud.waiting.model import Basis, Situation
from cloud.waiting.shape import Level

SQL = queries.load(__file__)

LEVELS = (0.025, *(round(0.05 * n, 2) for n in range(1, 20)), 0.975)
"""Levels of the quantiles that are kept: enough for the CRPS and for three central intervals."""

_P50, _P80, _P95 = (LEVELS.index(level) for level in (0.5, 0.8, 0.95))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is believed of a facility from the counts up to `observed_at`.

    `quantiles` [s] at LEVELS, ascending, or None where there is no honest figure. `people_ahead`:
    cars at 50 and 80 %. `admitted`: chance that a car which joins now is served before closing.
    `bracket_min`: the headline (`shape.bracket_min`); `level`: in a word, also where minutes are
    not told. `at_least_s`: instead of the quantiles where the queue reaches beyond the counter at
    its tail; four of five wait longer.
    """

    observed_at: datetime
    computed_at: datetime
    situation: Situation
    basis: Basis
    quantiles: tuple[float, ...] | None = None
    p_zero: float | None = None
    people_ahead: tuple[float, float] | None = None
    in_site: float | None = None
    bays: int | None = None
    trend: str | None = None
    bracket_min: int | None = None
    level: Level | None = None
    resets: int = 0
    admitted: float | None = None
    at_least_s: float | None = None

    @property
    def p50_s(self) -> float | None:
        """Half of the visitors wait no longer."""
        return None if self.quantiles is None else self.quantiles[_P50]

    @property
    def p80_s(self) -> float | None:
        """Four of five wait no longer."""
        return None if self.quantiles is None else self.quantiles[_P80]

    @property
    def p95_s(self) -> float | None:
        """Nineteen of twenty wait no longer."""
        return None if self.quantiles is None else self.quantiles[_P95]


async def keep(conn: AsyncConnection, estimates: Sequence[tuple[int, str, Estimate]]) -> int:
    """Keep estimates (facility key, status, estimate) of instants that have none yet; how many."""
    if not estimates:
        return 0
    async with conn.cursor() as cursor:
        await cursor.executemany(SQL["keep_estimate"], [_values(*one) for one in estimates])
        return max(cursor.rowcount, 0)


async def latest(conn: AsyncConnection, facilities: Sequence[int]) -> dict[int, Estimate]:
    """The newest estimate of each facility that has one."""
    rows = await _rows(conn, "latest_estimates", {"facilities": list(facilities)})
    return {row["facility_id"]: _estimate(row) for row in rows}


async def drop_before(conn: AsyncConnection, before: datetime) -> int:
    """Delete estimates of counts before `before`; the number deleted. Their scores stay."""
    cursor = await conn.execute(SQL["drop_old_estimates"], {"before": before})
    return cursor.rowcount


def _values(facility_id: int, status: str, one: Estimate) -> dict[str, Any]:
    ahead = one.people_ahead or (None, None)
    return {
        "facility_id": facility_id,
        "t": one.observed_at,
        "computed_at": one.computed_at,
        "status": status,
        "basis": one.basis.value,
        "situation": one.situation.value,
        "p50_s": one.p50_s,
        "p80_s": one.p80_s,
        "p95_s": one.p95_s,
        "quantiles": None if one.quantiles is None else list(one.quantiles),
        "p_zero": one.p_zero,
        "people_ahead_p50": ahead[0],
        "people_ahead_p80": ahead[1],
        "in_site": one.in_site,
        "bays": one.bays,
        "trend": one.trend,
        "bracket_min": one.bracket_min,
        "level": one.level,
        "resets": one.resets,
        "admitted": one.admitted,
        "at_least_s": one.at_least_s,
    }


def _estimate(row: Mapping[str, Any]) -> Estimate:
    ahead = row["people_ahead_p50"], row["people_ahead_p80"]
    return Estimate(
        observed_at=row["t"],
        computed_at=row["computed_at"] or row["t"],
        situation=Situation(row["situation"]),
        basis=Basis(row["basis"]),
        quantiles=None if row["quantiles"] is None else tuple(row["quantiles"]),
        p_zero=row["p_zero"],
        people_ahead=None if None in ahead else ahead,
        in_site=row["in_site"],
        bays=row["bays"],
        trend=row["trend"],
        bracket_min=row["bracket_min"],
        level=None if row["level"] is None else Level(row["level"]),
        resets=row["resets"],
        admitted=row["admitted"],
        at_least_s=row["at_least_s"],
    )


async def _rows(
    conn: AsyncConnection, name: str, parameters: Mapping[str, object]
) -> list[dict[str, Any]]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL[name], parameters)
        return await cursor.fetchall()
