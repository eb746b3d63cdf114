"""Bytes and microseconds a sample of the wire format, on noisy gauges and counters.

A sample is one value: one column of one row. The batch holds 100 series, 75 gauges and 25
counters, over 2 windows (200 samples, a live batch) or 20 (2,000, a batch of history):

- 4 feeders: 9 gauges and 1 counter each;
- 7 luminaires: 4 gauges and 1 counter each (level and power move: a park under traffic control);
- 2 devices of `sample` rows: 11 gauges and 14 counters.

Every gauge is Gaussian noise around its own mean, at the resolution of its column (one decimal for
most), so that nothing is constant and nothing is smooth: real batches are smaller. Counters rise by
0 to 120 a window. Narrow figures are the same series as `sample` rows only, the worst case of the
format. Each batch must come back exactly, value by value, or there is no figure.
"""

import random
import statistics
import time
import uuid
from collections.abc import Callable, Mapping

from benchmarks.harness import MeasurementError
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, Lane, gateway_id
from protocols.quantities import KINDS, Kind, Quality, Role
from protocols.time import US_PER_S, TimeUs
from protocols.wire import decode, encode

PACKAGES = ("protobuf", "zstandard")

_STREAM = Stream(gateway_id("bench-1"), Epoch(uuid.UUID(int=1)), Lane.LIVE)
_START_US = 1_767_225_600 * US_PER_S  # 2026-01-01 00:00 UTC
_WINDOW_S = 60
_SEED = 20_260_101
_MAX_STEP = 120
_RUNS = 25

# Column: mean and standard deviation of one measurement, in the column's unit.
_FEEDER = {
    "voltage_l1_v": (231.0, 0.8),
    "voltage_l2_v": (230.2, 0.8),
    "voltage_l3_v": (229.7, 0.8),
    "current_l1_a": (3.4, 0.05),
    "current_l2_a": (3.6, 0.05),
    "current_l3_a": (3.3, 0.05),
    "power_w": (2_300.0, 25.0),
    "power_factor": (0.95, 0.004),
    "frequency_hz": (50.0, 0.02),
}
_LIGHT = {
    "level_pct": (60.0, 2.0),
    "power_w": (38.0, 1.2),
    "voltage_v": (230.5, 0.8),
    "temperature_c": (31.0, 0.3),
}
_SAMPLE_GAUGE = (80.0, 1.0)

Truth = Mapping[str, float | str]
"""The physical values that a row was made from, at the resolution of their columns."""


def measure() -> Mapping[str, float]:
    """The sizes of four batches, and the time of the larger mixed one."""
    history, live = _mixed(windows=20), _mixed(windows=2)
    rows = [row for row, _ in history]
    payload = _encode(rows)
    samples = _samples(history)
    return {
        "bytes_per_sample_2000": _size(history),
        "bytes_per_sample_200": _size(live),
        "encode_us_per_sample": _us(lambda: _encode(rows)) / samples,
        "decode_us_per_sample": _us(lambda: decode(payload)) / samples,
        "bytes_per_sample_2000_narrow": _size(_narrow(windows=20)),
        "bytes_per_sample_200_narrow": _size(_narrow(windows=2)),
    }


def _mixed(*, windows: int) -> list[tuple[Reading, Truth]]:
    noise = random.Random(_SEED)
    batch = []
    for number in range(4):
        batch += _wide(
            noise, Kind.FEEDER, f"feeder-{number}", _FEEDER, "energy_import_wh", windows=windows
        )
    for number in range(7):
        batch += _wide(
            noise, Kind.LIGHT, f"lamp-{number:02d}", _LIGHT, "energy_wh", windows=windows
        )
    for number in range(25):
        batch += _point(noise, number, windows=windows, is_counter=number >= 11)
    return batch


def _narrow(*, windows: int) -> list[tuple[Reading, Truth]]:
    noise = random.Random(_SEED)
    return [
        row
        for number in range(100)
        for row in _point(noise, number, windows=windows, is_counter=number % 4 == 0)
    ]


def _wide(
    noise: random.Random,
    kind: Kind,
    device: str,
    gauges: Mapping[str, tuple[float, float]],
    counter: str,
    *,
    windows: int,
) -> list[tuple[Reading, Truth]]:
    """One device with all its columns; its noise is around means of its own."""
    shift = noise.uniform(0.97, 1.03)
    total = noise.randrange(10**7)
    rows = []
    for window in range(windows):
        total += noise.randint(0, _MAX_STEP)
        truth: dict[str, float | str] = {counter: total}
        for name, (mean, deviation) in gauges.items():
            column = KINDS[kind].column(name)
            value = noise.gauss(mean * shift, deviation)
            truth[name] = round(min(max(value, column.lo), column.hi), column.decimals)
        rows.append(_row(kind, device, window, truth))
    return rows


def _point(
    noise: random.Random, number: int, *, windows: int, is_counter: bool
) -> list[tuple[Reading, Truth]]:
    """One point of a device that has no kind of its own, a one-decimal gauge or a counter."""
    mean, deviation = _SAMPLE_GAUGE
    shift = noise.uniform(0.5, 5)
    total = noise.randrange(10**7)
    rows = []
    for window in range(windows):
        total += noise.randint(0, _MAX_STEP)
        value = total if is_counter else round(noise.gauss(mean * shift, deviation), 1)
        truth: Truth = {"point": f"point-{number:03d}", "value": value}
        rows.append(_row(Kind.SAMPLE, f"device-{number // 13}", window, truth))
    return rows


def _row(kind: Kind, device: str, window: int, truth: Truth) -> tuple[Reading, Truth]:
    t_us = TimeUs(_START_US + window * _WINDOW_S * US_PER_S)
    row = reading(kind, DeviceId(device), t_us, window_s=_WINDOW_S, quality=Quality.GOOD, **truth)
    return row, truth


def _samples(batch: list[tuple[Reading, Truth]]) -> int:
    """Numbers in the batch; the name of a `sample` row's point is not one."""
    return sum(
        1
        for row, truth in batch
        for name in truth
        if KINDS[row.kind].column(name).role is not Role.TEXT
    )


def _encode(rows: list[Reading]) -> bytes:
    return encode(_STREAM, 1, rows, created_us=_START_US, rows_before=0)


def _size(batch: list[tuple[Reading, Truth]]) -> float:
    """Bytes a sample of the whole message, once it has been shown to come back exactly."""
    payload = _encode([row for row, _ in batch])
    _check_exact(batch, payload)
    return len(payload) / _samples(batch)


def _check_exact(batch: list[tuple[Reading, Truth]], payload: bytes) -> None:
    back = {_identity(row): row for row in decode(payload).readings()}
    if len(back) != len(batch):
        raise MeasurementError(f"{len(batch)} rows were sent and {len(back)} came back")
    for row, truth in batch:
        for name, value in truth.items():
            received = back[_identity(row)].physical(name)
            if received != value:
                raise MeasurementError(f"{row.device} {name}: {value} came back as {received}")


def _identity(row: Reading) -> tuple[object, ...]:
    point = row.values[0] if row.kind is Kind.SAMPLE else None
    return row.kind, row.device, point, row.t_us


def _us(work: Callable[[], object]) -> float:
    """Median time of a run, in microseconds of processor time."""
    times = []
    for _ in range(_RUNS):
        start_ns = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - start_ns) / 1_000)
    return statistics.median(times)
