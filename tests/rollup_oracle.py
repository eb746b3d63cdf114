"""Rollups made anew from readings in plain Python: what the tables must say, written twice."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from cloud.rollups.tables import ROLLUPS, Form
from protocols.batch import Reading
from protocols.quantities import KINDS, Column, Kind
from protocols.time import US_PER_S, to_datetime

Row = dict[str, Any]


def hours(kind: Kind, readings: Iterable[Reading], zone: str) -> dict[tuple[str, datetime], Row]:
    """By device and start of the hour; the columns of the hour table that readers use."""
    table: dict[tuple[str, datetime], list[Reading]] = defaultdict(list)
    for row in sorted(readings, key=lambda r: (r.device, r.t_us)):
        table[row.device, _hour_start(row.t_us, zone)].append(row)
    ends: dict[tuple[str, str], tuple[int, int]] = {}
    return {key: _hour(kind, key[0], rows, ends) for key, rows in table.items()}


def days(
    kind: Kind, by_hour: dict[tuple[str, datetime], Row], zone: str
) -> dict[tuple[str, date], Row]:
    """By device and civil date."""
    table: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for (device, start), row in sorted(by_hour.items()):
        table[device, start.astimezone(ZoneInfo(zone)).date()].append(row)
    return {key: _day(kind, key[1], rows, zone) for key, rows in table.items()}


def _hour_start(t_us: int, zone: str) -> datetime:
    """A whole hour of the territory's clock, counted in UTC so that no hour is doubled."""
    moment = to_datetime(t_us)
    minutes = (moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()).seconds // 60 % 60
    shifted = moment + timedelta(minutes=minutes)
    return shifted.replace(minute=0, second=0, microsecond=0) - timedelta(minutes=minutes)


def _hour(
    kind: Kind, device: str, rows: Sequence[Reading], ends: dict[tuple[str, str], tuple[int, int]]
) -> Row:
    quality = 0
    for row in rows:
        quality |= row.quality
    out: Row = {
        "rows": len(rows),
        "covered_s": sum(_covered_s(row) for row in rows),
        "quality": quality,
    }
    for column, form in ROLLUPS[kind].columns:
        pairs = _present(rows, column.name)
        if form is Form.MEAN:
            out |= _gauge(column, pairs)
            if column.name in ROLLUPS[kind].extremes:
                out |= _extremes(column, rows, ROLLUPS[kind].extremes[column.name])
        elif form is Form.DIFFERENCE:
            out |= _counter(column.name, pairs, ends, device)
        elif form in (Form.SUM, Form.FLAGS):
            out[column.name] = _picked(form, [value for _, value in pairs])
        else:
            physical = [_stored(column, value / column.factor) for _, value in pairs]
            out[column.name] = _picked(form, physical)
    return out


def _present(rows: Sequence[Reading], name: str) -> list[tuple[Reading, int]]:
    """Rows that have a number in a column, with it."""
    position = KINDS[rows[0].kind].index(name)
    given = [(row, row.values[position]) for row in rows]
    return [(row, value) for row, value in given if isinstance(value, int)]


def _covered_s(row: Reading) -> int:
    """The part of the window that good samples speak for; all of it where nothing is said."""
    share = row.physical("coverage_pct")
    pct = 100.0 if share is None else float(np.float32(share))
    return round(row.window_s * pct / 100)


def _extremes(column: Column, rows: Sequence[Reading], names: tuple[str, str]) -> Row:
    """The windows' own extremes, or the reading where a window has none."""
    out: Row = {}
    for name, choose, part in zip(names, (min, max), ("min", "max"), strict=True):
        own = dict(_present(rows, name))
        mean = dict(_present(rows, column.name))
        values = [own.get(row, mean.get(row)) for row in rows]
        known = [value for value in values if value is not None]
        key = f"{column.name}_{part}"
        out[key] = _stored(column, choose(known) / column.factor) if known else None
    return out


def _picked(form: Form, values: Sequence[Any]) -> Any:
    """What is left of values in the order of time; None of none."""
    if not values:
        return None
    match form:
        case Form.SUM:
            return sum(values)
        case Form.LOWEST:
            return min(values)
        case Form.HIGHEST:
            return max(values)
        case Form.LAST:
            return values[-1]
    bits = 0
    for value in values:
        bits |= value
    return bits


def _gauge(column: Column, pairs: Sequence[tuple[Reading, int]]) -> Row:
    name, factor = column.name, column.factor
    weights = [max(row.window_s, 1) for row, _ in pairs]
    if not pairs:
        return {f"{name}_mean": None, f"{name}_min": None, f"{name}_max": None, f"{name}_s": 0}
    values = [value for _, value in pairs]
    total = sum(value * weight for value, weight in zip(values, weights, strict=True))
    return {
        f"{name}_mean": _stored(column, total / (factor * sum(weights))),
        f"{name}_min": _stored(column, min(values) / factor),
        f"{name}_max": _stored(column, max(values) / factor),
        f"{name}_s": sum(weights),
    }


def _stored(column: Column, value: float) -> float:
    return float(np.float32(value)) if column.sql == "float4" else value


def _counter(
    name: str,
    pairs: Sequence[tuple[Reading, int]],
    ends: dict[tuple[str, str], tuple[int, int]],
    device: str,
) -> Row:
    if not pairs:
        return {name: None, f"{name}_span_s": None, f"{name}_resets": None, f"{name}_end": None}
    before = ends.get((device, name))
    amount, resets = 0, 0
    previous = before[0] if before else None
    for _, value in pairs:
        if previous is not None:
            amount += value - previous if value >= previous else value
            resets += value < previous
        previous = value
    read_us = [row.t_us + row.window_s * US_PER_S for row, _ in (pairs[0], pairs[-1])]
    since_us = before[1] if before else read_us[0]
    known = before is not None or read_us[0] != read_us[1]
    ends[device, name] = (pairs[-1][1], read_us[1])
    return {
        name: amount if known else None,
        f"{name}_span_s": max(0, (read_us[1] - since_us) // US_PER_S),
        f"{name}_resets": resets,
        f"{name}_end": pairs[-1][1],
    }


def _day(kind: Kind, day: date, rows: Sequence[Row], zone: str) -> Row:
    start, end = (
        datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)).timestamp()
        for d in (day, day + timedelta(days=1))
    )
    quality = 0
    for row in rows:
        quality |= row["quality"]
    out: Row = {
        "length_s": round(end - start),
        "hours": len(rows),
        "rows": sum(row["rows"] for row in rows),
        "covered_s": sum(row["covered_s"] for row in rows),
        "quality": quality,
    }
    for column, form in ROLLUPS[kind].columns:
        name = column.name
        if form is Form.MEAN:
            out |= _day_gauge(column, rows)
        elif form is Form.DIFFERENCE:
            for part in (name, f"{name}_span_s", f"{name}_resets"):
                out[part] = _total(rows, part)
            ends = [row[f"{name}_end"] for row in rows if row[f"{name}_end"] is not None]
            out[f"{name}_end"] = ends[-1] if ends else None
        else:
            out[name] = _picked(form, [row[name] for row in rows if row[name] is not None])
    return out


def _day_gauge(column: Column, rows: Sequence[Row]) -> Row:
    name, factor = column.name, 1000 * column.factor
    known = [row for row in rows if row[f"{name}_mean"] is not None]
    lows = [row[f"{name}_min"] for row in rows if row[f"{name}_min"] is not None]
    highs = [row[f"{name}_max"] for row in rows if row[f"{name}_max"] is not None]
    seconds = sum(row[f"{name}_s"] for row in known)
    total = sum(round(row[f"{name}_mean"] * factor) * row[f"{name}_s"] for row in known)
    return {
        f"{name}_mean": _stored(column, total / (factor * seconds)) if known else None,
        f"{name}_min": min(lows, default=None),
        f"{name}_max": max(highs, default=None),
        f"{name}_s": seconds,
    }


def _total(rows: Sequence[Row], name: str) -> int | None:
    known = [row[name] for row in rows if row[name] is not None]
    return sum(known) if known else None
