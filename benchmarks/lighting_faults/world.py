"""A month of one cabinet's telemetry with faults whose kind, lamp and time are known.

Not the simulator of the demo: that one plays registers; this one makes thousands of lamp-months in
seconds. What disturbs without being a fault is here too: lamps that differ by 2 %, noise, fades,
lost reads, short silences, mains cuts, visits with the door open, cabinets fed by night only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cloud.lighting import solar
from cloud.lighting.curves import of_feeder
from cloud.lighting.faults import (
    BREAKER_TRIPPED,
    DOOR_OPEN,
    SAMPLE_S,
    FaultKind,
    Flags,
    Floats,
    Ints,
    Telemetry,
    sample_grid,
)
from cloud.lighting.power import CurveSource, PowerCurve, learned
from protocols.time import US_PER_S

LAMPS = 40
DAYS = 30
RATED_W = 60.0
CURVE = PowerCurve(0.07 * RATED_W, RATED_W)
STANDBY_W = 0.4
OWN_USE_W = 12.0
HOUR = 3600 // SAMPLE_S
DAY = 24 * HOUR
FAULTS_PER_CABINET = 4
"""Faults a cabinet and month: far more than a real one has, so that recall can be counted."""

MUTE_SHARE = 0.25
"""Cabinets whose lamps tell no power: only the feeder knows what they draw."""

LEARN_DAYS = 2

START_US = 1_767_225_600 * US_PER_S + 12 * 3600 * US_PER_S


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, on which lamp (None: the cabinet), in which samples.

    `unseen`: the lamp that is out where telemetry cannot tell which.
    """

    kind: FaultKind
    lamp: int | None
    begin: int
    end: int
    unseen: int | None = None


@dataclass(frozen=True, slots=True)
class Month:
    """Telemetry of one cabinet and the truth behind it; `curve` is what is known of its lamps."""

    seen: Telemetry
    faults: tuple[Fault, ...]
    curve: PowerCurve = CURVE


def month(seed: int) -> Month:
    """The month of cabinet `seed`."""
    rng = np.random.default_rng(seed)
    first_us = START_US + int(rng.integers(0, 335)) * 86_400 * US_PER_S
    t_us = sample_grid(first_us, first_us + DAYS * 86_400 * US_PER_S)
    dark = solar.elevation_deg(t_us, 49.5, 5.8) < -0.833
    night_only = bool(rng.random() < 0.3)
    target = _targets(rng, t_us, dark)
    faults = _drawn(rng, dark, night_only=night_only)
    mute = bool(np.random.default_rng([seed, 1]).random() < MUTE_SHARE)
    if mute:
        faults = _as_seen_by_the_feeder(faults)
    power = _powers(rng, target, faults)
    silent = _silences(rng, power.shape) | _silenced(faults, power.shape)
    if night_only:
        silent |= ~dark[:, None]
    cut = _cuts(rng, len(t_us))
    feeder = _feeder(rng, power, silent_of_supply=_without_supply(faults, power.shape), cut=cut)
    heard = np.where(silent | cut[:, None], np.nan, power)
    voltage = np.where(cut, 0.0, 231 + rng.normal(0, 2, len(t_us)))
    seen = Telemetry(
        t_us=t_us,
        target_pct=target,
        power_w=heard,
        heard=np.isfinite(heard),
        failed=np.zeros(power.shape, dtype=np.bool_),
        feeder_w=feeder,
        voltage_v=voltage,
        status=_status(rng, faults, len(t_us)),
        dark=dark,
        night_only=night_only,
        own_use_w=OWN_USE_W,
    )
    if not mute:
        return Month(seen, tuple(faults))
    told = replace(seen, power_w=np.full(power.shape, np.nan))
    return Month(told, tuple(faults), _learned(told))


def _as_seen_by_the_feeder(faults: list[Fault]) -> list[Fault]:
    """The same month where lamps tell no power: what only a lamp's power shows is a lamp out, and
    the feeder cannot say which. One at a time: two are one alarm."""
    found: list[Fault] = []
    busy_until = 0
    for fault in sorted(faults, key=lambda one: one.begin):
        if fault.lamp is None or fault.kind is FaultKind.COMMUNICATION:
            found.append(fault)
        elif fault.begin >= max(busy_until, LEARN_DAYS * DAY):
            end = fault.begin + 4 * DAY
            out = FaultKind.LAMP_OUT_BY_FEEDER
            found.append(Fault(out, None, fault.begin, end, unseen=fault.lamp))
            busy_until = end + 2 * DAY
    return found


def _learned(seen: Telemetry) -> PowerCurve:
    """The curve as the service learns it: from the feeder, over the days before the faults."""
    days = slice(0, LEARN_DAYS * DAY)
    first = replace(
        seen,
        target_pct=seen.target_pct[days],
        heard=seen.heard[days],
        failed=seen.failed[days],
        feeder_w=seen.feeder_w[days],
    )
    level, watts = of_feeder(first)
    return learned(level, watts, rated_w=RATED_W, source=CurveSource.FEEDER, lamps=LAMPS)


def _targets(rng: np.random.Generator, t_us: Ints, dark: Flags) -> Floats:
    """Full light in the evening and the morning, dimmed in between, off by day."""
    hour = (t_us / (3600 * US_PER_S) + 1.0) % 24
    down, up = rng.uniform(21.5, 23), rng.uniform(4.5, 5.7)
    deep_from, deep_to = rng.uniform(0, 1), rng.uniform(3, 4)
    late = (hour >= down) | (hour < up)
    deep = (hour >= deep_from) & (hour < deep_to)
    level = np.where(deep, 50.0, np.where(late, 75.0, 100.0))
    return np.repeat(np.where(dark, level, 0.0)[:, None], LAMPS, axis=1)


def _drawn(rng: np.random.Generator, dark: Flags, *, night_only: bool) -> list[Fault]:
    """Faults of every kind, no two on one lamp, no two of the cabinet within a week.

    A lamp that is fed by night only cannot burn by day.
    """
    kinds = [k for k in FaultKind if k is not FaultKind.LAMP_OUT_BY_FEEDER]
    kinds = [k for k in kinds if not (night_only and k is FaultKind.DAY_BURNER)]
    lamps = rng.permutation(np.arange(0, LAMPS - 16))
    found: list[Fault] = []
    cabinet_from = 2
    for number in range(FAULTS_PER_CABINET):
        kind = kinds[int(rng.integers(len(kinds)))]
        days = float(rng.uniform(2, 26))
        if kind in (FaultKind.CABLE, FaultKind.BREAKER, FaultKind.DOOR):
            if cabinet_from > 20:
                continue
            begin = round((cabinet_from + float(rng.uniform(0, 2))) * DAY)
            cabinet_from += 9
            hours = {FaultKind.DOOR: 2.0, FaultKind.BREAKER: 5.0, FaultKind.CABLE: 48.0}[kind]
            found.append(Fault(kind, None, begin, begin + round(hours * HOUR)))
            continue
        begin = round(days * DAY)
        if kind is FaultKind.CYCLING:
            begin = _in_the_dark(begin, dark)
        length = 4 * DAY if kind is not FaultKind.CYCLING else 3 * HOUR
        found.append(Fault(kind, int(lamps[number]), begin, min(begin + length, len(dark))))
    return found


def _in_the_dark(begin: int, dark: Flags) -> int:
    """The next sample from which three hours of night lie ahead."""
    while begin + 4 * HOUR < len(dark) and not dark[begin : begin + 4 * HOUR].all():
        begin += 1
    return begin


def _powers(rng: np.random.Generator, target: Floats, faults: list[Fault]) -> Floats:
    lamp = 1 + rng.uniform(-0.02, 0.02, LAMPS)
    output = target.copy()
    fade = target[1:] != target[:-1]
    output[1:][fade] = (target[1:][fade] + target[:-1][fade]) / 2
    for fault in faults:
        _obey(fault, output)
    line = CURVE.idle_w + (CURVE.full_w - CURVE.idle_w) * output / 100
    power = np.where(output > 0, line * lamp, STANDBY_W)
    for fault in faults:
        _bend(rng, fault, power, output)
    return np.maximum(power * (1 + rng.normal(0, 0.01, power.shape)), 0.0)


def _obey(fault: Fault, output: Floats) -> None:
    """Faults of obedience: another output than the one commanded."""
    span = slice(fault.begin, fault.end)
    column = output[span, fault.lamp] if fault.lamp is not None else output[span, 0]
    match fault.kind:
        case FaultKind.LAMP_OUT:
            column[:] = 0.0
        case FaultKind.LAMP_OUT_BY_FEEDER:
            output[span, fault.unseen] = 0.0
        case FaultKind.DAY_BURNER:
            column[:] = np.where(column == 0, 100.0, column)
        case FaultKind.DIMMING:
            column[:] = np.where(column > 0, 100.0, 0.0)
        case FaultKind.CYCLING:
            column[np.arange(len(column)) % 3 == 0] = 0.0
        case _:
            return


def _bend(rng: np.random.Generator, fault: Fault, power: Floats, output: Floats) -> None:
    """Faults of power: what a lit lamp draws is not what its model draws."""
    factor = {FaultKind.UNDER_POWER: 0.72, FaultKind.OVER_POWER: 1.28}.get(fault.kind)
    if factor is None or fault.lamp is None:
        return
    span = slice(fault.begin, fault.end)
    lit = output[span, fault.lamp] > 0
    wrong = factor + float(rng.uniform(-0.05, 0.05))
    power[span, fault.lamp] *= np.where(lit, wrong, 1.0)


def _silences(rng: np.random.Generator, shape: tuple[int, ...]) -> Flags:
    """Reads lost one by one, and silences of up to forty minutes that end by themselves."""
    lost = rng.random(shape) < 0.005
    for _ in range(int(rng.poisson(LAMPS * 0.5))):
        begin, lamp = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        lost[begin : begin + int(rng.integers(2, 9)), lamp] = True
    return lost


def _silenced(faults: list[Fault], shape: tuple[int, ...]) -> Flags:
    lost = _without_supply(faults, shape)
    for fault in faults:
        if fault.kind is FaultKind.COMMUNICATION and fault.lamp is not None:
            lost[fault.begin : fault.end, fault.lamp] = True
    return lost


def _without_supply(faults: list[Fault], shape: tuple[int, ...]) -> Flags:
    """Lamps that a stolen cable or a tripped breaker leaves without mains."""
    dead = np.zeros(shape, dtype=np.bool_)
    for fault in faults:
        if fault.kind is FaultKind.BREAKER:
            dead[fault.begin : fault.end] = True
        if fault.kind is FaultKind.CABLE:
            dead[fault.begin : fault.end, LAMPS - 16 :] = True
    return dead


def _cuts(rng: np.random.Generator, samples: int) -> Flags:
    """Mains cuts of the whole street, up to half an hour."""
    cut = np.zeros(samples, dtype=np.bool_)
    for _ in range(int(rng.poisson(1.0))):
        begin = int(rng.integers(samples))
        cut[begin : begin + int(rng.integers(1, 7))] = True
    return cut


def _feeder(
    rng: np.random.Generator, power: Floats, *, silent_of_supply: Flags, cut: Flags
) -> Floats:
    total = np.where(silent_of_supply, 0.0, power).sum(axis=1) + OWN_USE_W
    measured = total * (1 + rng.normal(0, 0.005, len(total)))
    measured[cut] = 0.0
    measured[rng.random(len(total)) < 0.003] = np.nan
    return np.asarray(measured)


def _status(rng: np.random.Generator, faults: list[Fault], samples: int) -> Ints:
    """Contacts; a visit keeps the door open for less than half an hour."""
    status = np.zeros(samples, dtype=np.int64)
    for _ in range(int(rng.poisson(1.3))):
        begin = int(rng.integers(samples))
        status[begin : begin + int(rng.integers(1, 6))] |= DOOR_OPEN
    for fault in faults:
        bit = {FaultKind.DOOR: DOOR_OPEN, FaultKind.BREAKER: BREAKER_TRIPPED}.get(fault.kind, 0)
        status[fault.begin : fault.end] |= bit
    return status
