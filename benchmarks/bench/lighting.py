"""Time of the sun for 100,000 luminaires and of a week's plan for 10,000 segments, on one core.

`sun_100k_ms`: true elevation of the sun over 100,000 places at one instant, the first call of the
process included (the worst of five). `plan_10k_segments_s`: nights, slots and the exact optimum of
10,000 segments in different places for seven nights of 96 quarters of an hour, with random classes
of a seeded week, to the list of changes of level; every slot is checked not to be below its class.
"""

import time
from collections.abc import Mapping

import numpy as np

from benchmarks.harness import MeasurementError
from cloud.lighting import solar
from cloud.lighting.optimise import Nights, changes_of, cheapest
from cloud.lighting.slots import slots_of

PACKAGES = ("numpy",)

LUMINAIRES, SEGMENTS, NIGHTS, SLOTS = 100_000, 10_000, 7, 96
DAY = 20_440
"""A midwinter night (17 December 2025): the longest of the year."""


def measure() -> Mapping[str, float]:
    """Both times; see the module's docstring."""
    return {"sun_100k_ms": _sun_ms(), "plan_10k_segments_s": _plan_s()}


def _sun_ms() -> float:
    rng = np.random.default_rng(0)
    latitudes, longitudes = rng.uniform(49, 50, LUMINAIRES), rng.uniform(5, 7, LUMINAIRES)
    took_s = []
    for minute in range(5):
        begin = time.perf_counter()
        found = solar.elevation_deg(DAY * solar.DAY_US + minute * 60_000_000, latitudes, longitudes)
        took_s.append(time.perf_counter() - begin)
        if not np.isfinite(found).all():
            raise MeasurementError("an elevation is not a number")
    return 1000 * max(took_s)


def _plan_s() -> float:
    rng = np.random.default_rng(1)
    latitudes = np.repeat(rng.uniform(49, 50, SEGMENTS), NIGHTS)
    longitudes = np.repeat(rng.uniform(5, 7, SEGMENTS), NIGHTS)
    days = np.tile(DAY + np.arange(NIGHTS), SEGMENTS)
    begin = time.perf_counter()
    dark = solar.darkness(days, angle_deg=-0.833, latitude_deg=latitudes, longitude_deg=longitudes)
    grid = slots_of(dark.on_us, dark.off_us, width=SLOTS)
    lowest = _classes(rng, len(days))
    rated_w = np.repeat(rng.uniform(500, 3000, SEGMENTS), NIGHTS)
    power_w = (rated_w[:, None] * (1.0, 0.7675, 0.535)).astype(np.float32)
    changes = np.full(len(days), 4, dtype=np.int8)
    ramp_h = np.full(len(changes), 60 / 3600, dtype=np.float32)
    chosen = cheapest(Nights(lowest, grid.hours, power_w, changes, change_wh=5.0, ramp_h=ramp_h))
    number = sum(1 for _ in changes_of(chosen))
    took_s = time.perf_counter() - begin
    if (chosen > lowest)[grid.hours > 0].any() or number == 0:
        raise MeasurementError("a planned level is below its class, or nothing was planned")
    return took_s


def _classes(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Classes lower that a night allows: falling in the evening, rising in the morning, noisy."""
    hour = np.arange(SLOTS) / 4
    quiet = 2.6 * np.exp(-(((hour - 8.5) / 4.5) ** 4))
    noisy = quiet + rng.normal(0, 0.5, (rows, SLOTS))
    return np.clip(np.floor(noisy), 0, 2).astype(np.int8)
