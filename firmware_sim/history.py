"""A recorded trace: what a gateway would have read over the past days, written fast.

JSON lines in ascending time, `{"t_us": ..., "device": "...", "values": {point: number}}`: the
input of `eclor edge backfill`. The world is advanced to the end of the trace, so a server that is
started on it afterwards goes on from there: counters continue, lamps hold their level. Values have
the resolution of the register they would have come from, so that a counter does not step back
between the trace and the first live read.
"""

import json
import struct
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from firmware_sim.scenario import DeviceSpec, profile_of
from firmware_sim.units import shown
from firmware_sim.world import SiteWorld, World
from protocols import dali
from protocols.ids import DeviceId, GatewayId
from protocols.profile import Point, RegisterType
from protocols.quantities import Kind
from protocols.time import US_PER_S

Plan = Callable[[datetime, float], float]
"""Level in per cent at a local time and sun elevation in degrees."""

_Rounding = Callable[[float], float]
_SUNSET_DEG = -0.833
_EVENING_H, _MORNING_H = 22, 5


def dusk_to_dawn(local: datetime, elevation_deg: float, *, reduced_pct: float = 50.0) -> float:
    """Full light while the sun is down, `reduced_pct` from 22:00 to 05:00 local time."""
    if elevation_deg >= _SUNSET_DEG:
        return 0.0
    return reduced_pct if local.hour >= _EVENING_H or local.hour < _MORNING_H else 100.0


def write_trace(
    world: World,
    gateway: GatewayId,
    path: Path,
    *,
    from_us: int,
    to_us: int,
    interval_s: int = 300,
    counter_interval_s: int = 60,
    plan: Plan = dusk_to_dawn,
) -> int:
    """Write the trace of `gateway` over [from_us, to_us) to `path`; returns its lines.

    Lamps are read every `interval_s`, everything else every `counter_interval_s`, which divides
    it, on multiples of these since the epoch. `plan` says the lamps' level meanwhile. ValueError
    if the intervals do not fit or the world is already beyond `from_us`.
    """
    if interval_s % counter_interval_s:
        raise ValueError(f"interval {interval_s} s is no multiple of {counter_interval_s} s")
    site = world.site(gateway)
    if site.t_us > from_us:
        raise ValueError(f"{gateway} is at {site.t_us} us, beyond the start {from_us} us")
    lines = 0
    with path.open("w", encoding="ascii") as file:
        for line in _lines(site, (from_us, to_us), (interval_s, counter_interval_s), plan):
            file.write(line)
            lines += 1
    site.advance(to_us)
    return lines


def follow(site: SiteWorld, plan: Plan) -> None:
    """Write the plan's level to every lamp, as a gateway does: again and again, or they go full."""
    if site.cabinet is None or site.spec.cabinet is None:
        return
    level_pct = plan(site.civil.local(site.t_us), site.sky.elevation_deg(site.t_us))
    for device in site.spec.cabinet.lamps:
        site.cabinet.write_level(device, level_pct)


def _lines(
    site: SiteWorld, span: tuple[int, int], intervals_s: tuple[int, int], plan: Plan
) -> Iterator[str]:
    slow_us, fast_us = (interval_s * US_PER_S for interval_s in intervals_s)
    recorders = [(_Recorder(spec), spec) for spec in site.spec.gateway.devices]
    lamps = [
        (recorder, device)
        for recorder, spec in recorders
        for device, _ in spec.devices()
        if recorder.is_light
    ]
    others = [
        (recorder, device)
        for recorder, spec in recorders
        for device, _ in spec.devices()
        if not recorder.is_light
    ]
    first_us = -(-span[0] // fast_us) * fast_us
    for t_us in range(first_us, span[1], fast_us):
        site.advance(t_us)
        follow(site, plan)
        due = others if t_us % slow_us else lamps + others
        for recorder, device in due:
            yield recorder.line(t_us, device, site)


class _Recorder:
    """Lines for the devices of one entry."""

    def __init__(self, spec: DeviceSpec) -> None:
        profile = profile_of(spec)
        self.is_light = profile.kind is Kind.LIGHT
        self._points = [
            (point, rounding(point)) for point in profile.points if point.column is not None
        ]
        self._encode = json.JSONEncoder(separators=(",", ":")).encode

    def line(self, t_us: int, device: DeviceId, site: SiteWorld) -> str:
        """One line; what the device cannot tell is left out."""
        quantities = site.told(device)
        values: dict[str, object] = {}
        for point, rounded in self._points:
            value = shown(point, quantities)
            if isinstance(value, int | float):
                values[point.name] = rounded(value)
        return f'{{"t_us":{t_us},"device":"{device}","values":{self._encode(values)}}}\n'


def rounding(point: Point) -> _Rounding:
    """A fast function that does to a value what a register does: encode, then decode.

    A float register's value is also cut to what the reading kind resolves.
    """
    scale = float(point.scale)
    if point.curve == "dali":
        return lambda value: dali.percent(dali.level(value))
    if point.type.is_float:
        return _float_rounding(point, scale)
    if point.type is RegisterType.BIT or point.type is RegisterType.BITFIELD:
        return int
    modulus = point.counter_modulus
    if point.integral:
        whole = int(scale)
        if modulus is None:
            return lambda value: round(value / whole) * whole
        return lambda value: round(value / whole) * whole % modulus
    digits = max(0, -int(point.scale.as_tuple().exponent))  # a register's scale is finite
    return lambda value: round(round(value / scale) * scale, digits)


def _float_rounding(point: Point, scale: float) -> _Rounding:
    pair = struct.Struct("<f" if point.type is RegisterType.FLOAT32 else "<d")

    def rounded(value: float) -> float:
        raw: float = pair.unpack(pair.pack(value / scale))[0]
        return round(raw * scale) if point.integral else round(raw * scale, 3)

    return rounded
