"""A recorded trace in the place of a bus: what was seen once is seen again, by today's code.

`rows_of` makes at once, in the time of the trace, the rows that the agent would have made, so a bug
report is a test (tests/cases). `Replay` tells the trace to a running agent as if it happened now.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edge import field_events as events
from edge.aggregation import Aggregator
from edge.bus.health import BusHealth
from edge.config import EdgeConfig, ReplayBus
from edge.config_devices import DeviceSettings
from edge.sampling import Number, Sample, polled_points
from edge.trace import Exchange, TraceReport, read_lines
from protocols.batch import Reading
from protocols.profile_model import Point
from protocols.registers import decode
from protocols.time import US_PER_S, Clock, TimeUs


def rows(config: EdgeConfig, report: TraceReport) -> Iterator[Reading]:
    """The rows that the replay buses of `config` give; the clock may go back inside a trace."""
    for bus in config.replay_buses:
        devices = [device for device in config.replayed if device.bus == bus.name]
        told = samples(devices, bus.trace, report, ordered=False)
        for some in rows_of(devices, told):
            yield from some


def samples(
    devices: Sequence[DeviceSettings], path: Path, report: TraceReport, *, ordered: bool = True
) -> Iterator[Sample]:
    """The samples of a trace in its order, exchanges decoded; what fits no device is a bad line."""
    known = {device.id for device in devices}
    units = _Units(devices)
    for told in read_lines(path, report, ordered=ordered):
        if isinstance(told, Exchange):
            found = units.decoded(told)
            if not found:
                report.refuse(f"unit {told.unit} of bus {told.bus} is not in the configuration")
        else:
            found = [told] if told.device in known else []
            if not found:
                report.refuse(f"device {told.device} is not in the configuration")
        report.samples += len(found)
        yield from found


def rows_of(
    devices: Sequence[DeviceSettings], told: Iterator[Sample], *, earlier_s: int = 0
) -> Iterator[list[Reading]]:
    """What the agent makes of samples, a list whenever windows end, the rest at the end.

    Coverage can begin `earlier_s` before the first sample.
    """
    aggregator: Aggregator | None = None
    now_us = 0
    for sample in told:
        if aggregator is None:
            aggregator = Aggregator(devices, started_us=sample.t_us - earlier_s * US_PER_S)
        if sample.t_us != now_us:
            now_us = sample.t_us
            if ready := aggregator.close_due(now_us):
                yield ready
        aggregator.add(sample)
    if aggregator and (ready := aggregator.close_all(now_us)):
        yield ready


class _Units:
    """The devices behind each unit of a bus, to decode what the unit answered."""

    def __init__(self, devices: Sequence[DeviceSettings]) -> None:
        self._devices = defaultdict[
            tuple[str, int], list[tuple[DeviceSettings, tuple[Point, ...]]]
        ](list)
        for device in devices:
            place = (device.bus, device.unit)
            self._devices[place].append((device, polled_points(device.profile)))

    def decoded(self, told: Exchange) -> list[Sample]:
        """A sample for every device that has a point in the block; an error leaves no number."""
        found = []
        for device, points in self._devices.get((told.bus, told.unit), ()):
            inside = [point for point in points if _inside(point, device.index, told)]
            if inside:
                values = {} if told.error else _values(inside, device.index, told)
                found.append(Sample(device.id, told.t_us, values, told.error is None))
        return found


def _inside(point: Point, index: int, told: Exchange) -> bool:
    start = point.address_at(index) - told.address
    return point.function is told.function and 0 <= start <= told.count - point.words


def _values(points: Sequence[Point], index: int, told: Exchange) -> dict[str, Number]:
    values: dict[str, Number] = {}
    for point in points:
        start = point.address_at(index) - told.address
        value = decode(point, told.words[start : start + point.words])
        values[point.name] = None if isinstance(value, str) else value
    return values


class Replay:
    """One replay bus of a running agent; `run` tells its trace once and then waits."""

    def __init__(
        self,
        bus: ReplayBus,
        devices: Sequence[DeviceSettings],
        *,
        clock: Clock,
        emit: Callable[[Sample], None],
        polls: BusHealth,
    ) -> None:
        self.name = bus.name
        self._polls = polls
        self._bus = bus
        self._devices = devices
        self._clock = clock
        self._emit = emit

    async def run(self) -> None:
        report = TraceReport()
        begun_s = self._clock.monotonic_s()
        first_us: int | None = None
        for sample in samples(self._devices, self._bus.trace, report):
            first_us = sample.t_us if first_us is None else first_us
            due_s = begun_s + (sample.t_us - first_us) / US_PER_S / self._bus.speed
            await asyncio.sleep(max(0.0, due_s - self._clock.monotonic_s()))
            self._polls.polls_ok += sample.ok
            self._polls.polls_failed += not sample.ok
            self._emit(replace(sample, t_us=TimeUs(self._clock.now_us())))
        events.TRACE_TOLD(bus=self.name, samples=report.samples, bad_lines=report.bad_lines)
        await asyncio.Event().wait()
