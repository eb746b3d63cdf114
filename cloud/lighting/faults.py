"""Faults of lamps and cabinets from telemetry: pure rules over one cabinet's last days.

Samples are SAMPLE_S apart. Every rule asks that its sign lasts, so that a fade, a lost read or a
visit with the door open is no alarm; a lamp that was just commanded is not judged (`steady`).

| fault | sign |
|---|---|
| lamp_out | commanded on, below half of the expected power (or its own word) for 30 min |
| lamp_out_by_feeder | lamps that tell no power: the feeder short of 60 % of one lamp for 45 min |
| day_burner | commanded off, above 30 % of the rated power for 30 min |
| cycling | three restarts within an hour under one command |
| over_power, under_power | on two mornings: beyond the band, by the same share at every level |
| dimming_failure | on two mornings: the share differs from level to level |
| communication | silent for 60 min while its cabinet is fed (by night only, where it is so) |
| cable | neighbours silent and the feeder short of 30 % of its load at good voltage for 30 min |
| breaker, door | the contact says so for 10 and 30 min |

The band is the greatest of 15 %, 5 W and the interval of the learned curve. The share is power over
expected power, over the last day; two mornings, because a fault that began in the middle of a night
makes the first look as if levels differed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cloud.lighting.power import STANDBY_W, PowerCurve
from protocols.time import US_PER_S, TimeUs

SAMPLE_S = 300
DOOR_OPEN, BREAKER_TRIPPED = 1, 8
"""Bits of the status column of the reading kind `ambient`."""

NEIGHBOURS = 3
MEMORY = 24 * 3600 // SAMPLE_S
"""What a morning looks back on."""

LEVELS_PCT = ((80.0, 101.0), (60.0, 80.0), (5.0, 60.0))
"""Ranges of commanded level whose power is averaged, the highest first."""

MIN_AT_LEVEL = 6
"""Samples that a level must have had to be spoken of: half an hour."""

MIN_JUDGED = 0.6
"""Share of the window of the feeder's shortage that must have been fit to judge."""

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
_Numbers = TypeVar("_Numbers", Floats, Ints)


class FaultKind(StrEnum):
    """What is wrong."""

    LAMP_OUT = "lamp_out"
    LAMP_OUT_BY_FEEDER = "lamp_out_by_feeder"
    DAY_BURNER = "day_burner"
    CYCLING = "cycling"
    DIMMING = "dimming_failure"
    UNDER_POWER = "under_power"
    OVER_POWER = "over_power"
    COMMUNICATION = "communication"
    CABLE = "cable"
    BREAKER = "breaker"
    DOOR = "door"

    @property
    def talq_event(self) -> str | None:
        """The event of TALQ 2.7 for it; None: it has none of its own."""
        return _TALQ_EVENTS.get(self)


_TALQ_EVENTS = {
    FaultKind.LAMP_OUT: "lampFailure",
    FaultKind.LAMP_OUT_BY_FEEDER: "lampFailure",
    FaultKind.DAY_BURNER: "lampUnexpectedOn",
    FaultKind.CYCLING: "cyclingFailure",
    FaultKind.DIMMING: "dimmingFailure",
    FaultKind.UNDER_POWER: "lampPowerTooLow",
    FaultKind.OVER_POWER: "lampPowerTooHigh",
    FaultKind.COMMUNICATION: "controlGearCommFailure",
    FaultKind.CABLE: "supplyLoss",
    FaultKind.BREAKER: "circuitBreakerTripped",
}


CABINET_KINDS = frozenset(
    {FaultKind.CABLE, FaultKind.BREAKER, FaultKind.DOOR, FaultKind.LAMP_OUT_BY_FEEDER}
)
"""Alarms of the cabinet as a whole."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How strong a sign must be; `patience` stretches or shortens how long it must last.

    `residual_share`: of one lamp's power that the feeder must be short of, and not less than
    `residual_floor` of its load, beyond which a meter and a learned curve tell nothing.
    """

    out_share: float = 0.5
    burner_share: float = 0.3
    band_share: float = 0.15
    band_w: float = 5.0
    restarts: int = 3
    load_lost: float = 0.3
    residual_share: float = 0.6
    residual_floor: float = 0.01
    patience: float = 1.0

    def samples(self, minutes: float) -> int:
        """So many samples in a row."""
        return max(1, round(minutes * 60 / SAMPLE_S * self.patience))


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One cabinet over consecutive samples; lamps stand in the order of their cable.

    target_pct, power_w (samples, lamps): power NaN where it was not told; `heard`: whether anything
    was; `failed`: the lamp's own word that it or its gear has failed. feeder_w, voltage_v
    (samples,) NaN where the meter was not read; status (samples,) of the cabinet, 0 = all well;
    dark (samples,). `night_only`: the lamps are fed by night only.
    """

    t_us: Ints
    target_pct: Floats
    power_w: Floats
    heard: Flags
    failed: Flags
    feeder_w: Floats
    voltage_v: Floats
    status: Ints
    dark: Flags
    night_only: bool
    own_use_w: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """A fault noticed at `t_us`; `lamp` is its place on the cable, None: the cabinet."""

    kind: FaultKind
    lamp: int | None
    t_us: TimeUs


def lasting_faults(
    seen: Telemetry, curve: PowerCurve, limits: Thresholds = Thresholds()
) -> set[tuple[FaultKind, int | None]]:
    """Kind and lamp of every fault of which the last day showed a sign."""
    return {
        (kind, None if kind in CABINET_KINDS else int(lamp))
        for kind, found in _signs(seen, curve, limits)
        for lamp in np.flatnonzero(found[-MEMORY:].any(axis=0))
    }


def detect(seen: Telemetry, curve: PowerCurve, limits: Thresholds = Thresholds()) -> list[Alarm]:
    """Every alarm, one each time that a sign begins to have lasted, by time."""
    alarms = [
        Alarm(kind, None if kind in CABINET_KINDS else int(lamp), TimeUs(int(seen.t_us[sample])))
        for kind, found in _signs(seen, curve, limits)
        for sample, lamp in np.argwhere(_begins(found))
    ]
    return sorted(alarms, key=lambda alarm: alarm.t_us)


def _signs(
    seen: Telemetry, curve: PowerCurve, limits: Thresholds
) -> Iterator[tuple[FaultKind, Flags]]:
    """Per kind where (samples, lamps or 1) its sign has lasted."""
    expected = np.where(
        seen.target_pct > 0,
        curve.idle_w + (curve.full_w - curve.idle_w) * seen.target_pct / 100,
        STANDBY_W,
    )
    told = np.isfinite(seen.power_w)
    power = np.where(told, seen.power_w, expected)
    steady = told & unchanged(seen.target_pct, 2)
    lit = steady & (seen.target_pct > 0)
    out = lit & (power < limits.out_share * expected)
    yield FaultKind.LAMP_OUT, lasting(out | (seen.failed & seen.heard), limits.samples(30))
    burning = steady & (seen.target_pct == 0) & (power > limits.burner_share * curve.full_w)
    yield FaultKind.DAY_BURNER, lasting(burning, limits.samples(30))
    cycling = _restarts(lit, power > 0.3 * expected) >= limits.restarts
    yield FaultKind.CYCLING, cycling
    yield from _power_signs(seen, curve, limits, lit & ~out, power / expected)
    yield from _supply_signs(seen, limits, expected)
    yield FaultKind.LAMP_OUT_BY_FEEDER, _short_of_a_lamp(seen, limits, expected)
    yield FaultKind.DOOR, lasting((seen.status & DOOR_OPEN > 0)[:, None], limits.samples(30))


def _power_signs(
    seen: Telemetry, curve: PowerCurve, limits: Thresholds, judged: Flags, share: Floats
) -> Iterator[tuple[FaultKind, Flags]]:
    """By day, what the last night said of each lamp; two mornings must say the same."""
    band = max(limits.band_share, max(limits.band_w, curve.interval_w) / curve.full_w)
    top, low = _shares(seen, judged, share)
    morning = (seen.target_pct == 0) & np.isfinite(top)
    apart = np.isfinite(low) & (np.abs(low - top) > band)
    verdicts = {
        FaultKind.DIMMING: apart,
        FaultKind.OVER_POWER: ~apart & (top > 1 + band),
        FaultKind.UNDER_POWER: ~apart & (top < 1 - band),
    }
    for kind, verdict in verdicts.items():
        said = morning & verdict
        before = np.zeros_like(said)
        before[MEMORY:] = said[:-MEMORY]
        yield kind, said & before if limits.patience >= 1 else said


def _shares(seen: Telemetry, judged: Flags, share: Floats) -> tuple[Floats, Floats]:
    """Mean share of the expected power over the last day at the highest level that was commanded
    long enough, and at the lowest such level below it; NaN where there was none."""
    top, low = (np.full(share.shape, np.nan) for _ in range(2))
    for begin, end in LEVELS_PCT:
        here = judged & (seen.target_pct >= begin) & (seen.target_pct < end)
        number = _of_last(here.astype(np.float64), MEMORY)
        mean = _of_last(np.where(here, share, 0.0), MEMORY) / np.maximum(number, 1)
        enough = number >= MIN_AT_LEVEL
        low = np.where(enough & np.isfinite(top), mean, low)
        top = np.where(enough & np.isnan(top), mean, top)
    return top, low


def _of_last(values: _Numbers, samples: int) -> _Numbers:
    """Sum over the last `samples` samples, along the first axis."""
    total = np.cumsum(values, axis=0)
    before = np.zeros_like(total)
    before[samples:] = total[:-samples] if samples < len(total) else total[:0]
    return total - before


def _supply_signs(
    seen: Telemetry, limits: Thresholds, expected: Floats
) -> Iterator[tuple[FaultKind, Flags]]:
    """Silence of lamps, read together with the feeder and the cabinet's contacts."""
    heard = seen.heard
    tripped = (seen.status & BREAKER_TRIPPED > 0)[:, None]
    yield FaultKind.BREAKER, lasting(tripped, limits.samples(10))
    load_w = expected.sum(axis=1)
    short_w = load_w - (
        np.where(np.isfinite(seen.feeder_w), seen.feeder_w, np.inf) - seen.own_use_w
    )
    good_voltage: Flags = np.logical_and(seen.voltage_v > 200, seen.voltage_v < 260)
    lit: Flags = np.any(seen.target_pct > 0, axis=1)
    lit = lit & np.all(unchanged(seen.target_pct, 2), axis=1)
    quiet = lasting(~heard, limits.samples(30))
    together = _neighbours(quiet)
    lost = lit & good_voltage & (short_w > limits.load_lost * load_w)
    cable = lasting(lost[:, None], limits.samples(30)) & together.any(axis=1, keepdims=True)
    cable &= ~tripped
    yield FaultKind.CABLE, cable
    alive: Flags = np.logical_and(np.isfinite(seen.feeder_w), good_voltage)
    if seen.night_only:
        alive &= lasting(seen.dark[:, None], limits.samples(60))[:, 0]
    fed = alive[:, None] & ~tripped
    shown_well = lasting((lit & ~lost)[:, None], limits.samples(45))
    settled = ~together | (_since(shown_well) + limits.samples(45) <= _since(heard))
    silent = lasting(~heard & fed, limits.samples(60)) & settled & (_since(cable) > MEMORY)
    yield FaultKind.COMMUNICATION, silent


def _short_of_a_lamp(seen: Telemetry, limits: Thresholds, expected: Floats) -> Flags:
    """Where the feeder has been short of a lamp among those that never tell their power.

    Which one is not known, so it is an alarm of the cabinet. Lamps that said themselves that they
    failed are not missed a second time; what is missing with a whole cable is not a lamp.
    """
    mute: Flags = np.all(~np.isfinite(seen.power_w), axis=0)
    if not mute.any():
        return np.zeros((len(expected), 1), dtype=np.bool_)
    told = np.where(np.isfinite(seen.power_w), seen.power_w, expected)
    load_w = np.where(seen.failed, STANDBY_W, told).sum(axis=1)
    lamp_w = expected[:, mute].mean(axis=1)
    short_w = load_w + seen.own_use_w - seen.feeder_w
    judged: Flags = np.all(unchanged(seen.target_pct, 2), axis=1)
    lit: Flags = np.any(seen.target_pct[:, mute] > 0, axis=1)
    good_voltage: Flags = np.logical_and(seen.voltage_v > 200, seen.voltage_v < 260)
    judged &= lit & good_voltage
    judged &= np.isfinite(short_w)
    judged &= ~np.any(lasting(~seen.heard, limits.samples(15)), axis=1)
    judged &= np.logical_and(
        seen.status & BREAKER_TRIPPED == 0, short_w < limits.load_lost * load_w
    )
    window = limits.samples(45)
    number = _of_last(judged.astype(np.float64), window)
    wanted_w = np.maximum(limits.residual_share * lamp_w, limits.residual_floor * load_w)
    share = np.where(judged, short_w, 0.0) / np.maximum(wanted_w, STANDBY_W)
    mean = _of_last(share, window) / np.maximum(number, 1)
    found: Flags = judged & (number >= MIN_JUDGED * window) & (mean > 1)
    return found[:, None]


def lasting(sign: Flags, samples: int) -> Flags:
    """Where the sign has held for the last `samples` samples, along the first axis."""
    total = np.cumsum(sign, axis=0, dtype=np.int32)
    before = np.zeros_like(total)
    before[samples:] = total[:-samples] if samples < len(total) else total[:0]
    result: Flags = total - before >= samples
    return result


def _begins(sign: Flags) -> Flags:
    first = sign.copy()
    first[1:] &= ~sign[:-1]
    return first


def unchanged(target_pct: Floats, samples: int) -> Flags:
    """Where the level commanded is that of the last `samples` samples."""
    same = np.zeros(target_pct.shape, dtype=np.bool_)
    same[1:] = target_pct[1:] == target_pct[:-1]
    return lasting(same, samples)


def _restarts(lit: Flags, on: Flags) -> Ints:
    """How often within the last hour each lamp came on again under one command."""
    again = np.zeros(lit.shape, dtype=np.int64)
    again[1:] = lit[1:] & lit[:-1] & on[1:] & ~on[:-1]
    return _of_last(again, 3600 // SAMPLE_S)


def _since(sign: Flags) -> Ints:
    """Samples since the sign held last; very many where it never did."""
    index = np.arange(len(sign))[:, None]
    last = np.maximum.accumulate(np.where(sign, index, -(10**9)), axis=0)
    result: Ints = index - last
    return result


def _neighbours(quiet: Flags) -> Flags:
    """Where a lamp is one of NEIGHBOURS or more quiet ones in a row along the cable."""
    lamps = quiet.shape[1]
    found = np.zeros_like(quiet)
    for first in range(lamps - NEIGHBOURS + 1):
        row = quiet[:, first : first + NEIGHBOURS].all(axis=1, keepdims=True)
        found[:, first : first + NEIGHBOURS] |= row
    return found


def sample_grid(from_us: int, until_us: int) -> Ints:
    """The instants of samples in [from_us, until_us)."""
    step = SAMPLE_S * US_PER_S
    first = -(-from_us // step) * step
    return np.arange(first, until_us, step, dtype=np.int64)
