"""The field bus: pace, cost and manners of the agent on 100 units, dead ones and serial lines.

A real agent (`eclor edge run`: field, aggregation, outbox; its uplink finds nobody) reads devices
of another process, which notes when it was asked.
- TCP: 100 units of 20 registers, every second, on one endpoint, one request at a time (the default
  of a bus): processor, memory, and how far each question lies from its unit's own phase.
- The same with 1 and with 10 units that never answer, time-out 3 s, from the agent's start: polls
  of the healthy units that came within a tenth of a second of their time, the part of the time that
  tests of lost units held the bus (`probe_bus_pct`; `silent_bus_pct` with the first questions), and
  memory from the first minute to the end of the tenth.
- RTU on a pty at 9,600 and 19,200 Bd: the shortest silence before a request, bus use beside the
  plan, and requests a second beside the line's limit when there is more to read than it carries.
- The hostile suite (benchmarks.hostile): values marked good that are not what the device said, over
  100,000 exchanges with a fault.
- Reads a second of the agent's driver beside a bare loop of pymodbus, turn about, in one process.

`--quick` shortens everything (memory then over the run, not over ten minutes).
"""

import cmath
import math
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.harness import Option
from benchmarks.hostile import run as hostile
from benchmarks.modbus_load import rates
from benchmarks.modbus_load.agent import REGISTERS, agent_on
from benchmarks.modbus_load.child import child
from benchmarks.modbus_load.line import CHARACTER_BITS, silence_s

PACKAGES = ("pymodbus",)
OPTIONS = (Option("quick", bool, "Two minutes instead of a quarter of an hour.", default=False),)

_UNITS = 100
_TIMEOUT_S = 3.0
_TURNAROUND_S = 0.02
_SETTLE_S = 5.0
_ON_TIME_S = 0.1
_LINE_UNITS = 4
_SEED = 1
_DEAD = {1: (7,), 10: tuple(range(3, 100, 10))}


@dataclass(frozen=True, slots=True)
class _Lengths:
    """How long each part runs, in seconds."""

    healthy_s: float
    dead_s: float
    memory_from_s: float
    line_s: float
    rates_s: float
    exchanges: int


_FULL = _Lengths(60.0, 600.0, 60.0, 30.0, 9.0, 100_000)
_QUICK = _Lengths(20.0, 60.0, 20.0, 12.0, 3.0, 2_000)


@dataclass(frozen=True, slots=True)
class _Run:
    """What one run of the agent on TCP showed."""

    asked: Mapping[int, Sequence[float]]
    silent: tuple[int, ...]
    cpu_pct: float
    rss_mb: float
    growth_mb: float
    probe_pct: float
    silent_pct: float

    def phase_errors_s(self) -> list[float]:
        """How far each question to a healthy unit lies from the median phase of its unit."""
        return [
            abs(error)
            for unit, times in self.asked.items()
            if unit not in self.silent
            for error in _errors(times)
        ]

    def on_time_pct(self) -> float:
        """Questions to healthy units at their time, of those that were due since the start."""
        began_s = min(times[0] for times in self.asked.values())
        ended_s = max(times[-1] for times in self.asked.values())
        healthy = [times for unit, times in self.asked.items() if unit not in self.silent]
        due = sum(_turns(_phase_s(times), began_s, ended_s) for times in healthy)
        due += (_UNITS - len(self.silent) - len(healthy)) * int(ended_s - began_s)  # never asked
        return 100 * min(1.0, sum(e <= _ON_TIME_S for e in self.phase_errors_s()) / due)


def measure(*, quick: bool = False) -> dict[str, float]:
    """Every figure of the field bus."""
    lengths = _QUICK if quick else _FULL
    figures = _rates(lengths)
    healthy = _run((), lengths.healthy_s, memory_from_s=_SETTLE_S)  # alone on the machine
    figures |= {
        "agent_cpu_pct": healthy.cpu_pct,
        "agent_rss_mb": healthy.rss_mb,
        "phase_error_p99_ms": 1e3 * _percentile(healthy.phase_errors_s(), 99),
    }
    with ThreadPoolExecutor(len(_DEAD)) as both:
        runs = dict(zip(_DEAD, both.map(lambda dead: _dead_run(dead, lengths), _DEAD), strict=True))
    figures |= {f"healthy_on_time_pct_{dead}_dead": run.on_time_pct() for dead, run in runs.items()}
    figures |= {
        "probe_bus_pct": max(run.probe_pct for run in runs.values()),
        "silent_bus_pct": max(run.silent_pct for run in runs.values()),
        "rss_growth_mb_10_min": max(run.growth_mb for run in runs.values()),
    }
    return figures | _lines(lengths) | _hostile(lengths)


def _dead_run(dead: int, lengths: _Lengths) -> _Run:
    return _run(_DEAD[dead], lengths.dead_s, memory_from_s=lengths.memory_from_s)


def _rates(lengths: _Lengths) -> dict[str, float]:
    with child("devices") as devices:
        ours, bare = rates.measured(int(devices.first), seconds=lengths.rates_s)
    return {"reads_per_s": ours, "bare_reads_per_s": bare}


def _run(silent: tuple[int, ...], seconds: float, *, memory_from_s: float) -> _Run:
    """The agent on 100 units for `seconds`, some of them silent."""
    with child("devices", "--silent", ",".join(map(str, silent))) as devices:
        bus = f'host = "127.0.0.1"\nport = {devices.first}\ntimeout_s = {_TIMEOUT_S}\n'
        with agent_on(bus, _UNITS, interval_s=1.0) as agent:
            agent.rest(_SETTLE_S)
            cpu_s = agent.cpu_s()
            agent.rest(seconds - _SETTLE_S)
            cpu_s = agent.cpu_s() - cpu_s
            report = agent.stop()
        asked = {int(unit): times for unit, times in devices.result().items()}
    began_s = agent.memory_mb[0][0]
    later = [rss for t_s, rss in agent.memory_mb if t_s - began_s >= memory_from_s - 1]
    health = report.buses["line"]
    return _Run(
        asked,
        silent,
        cpu_pct=100 * cpu_s / (seconds - _SETTLE_S),
        rss_mb=max(rss for _, rss in agent.memory_mb),
        growth_mb=later[-1] - later[0],
        probe_pct=100 * health.probe_s / report.uptime_s,
        silent_pct=100 * health.silent_s / report.uptime_s,
    )


def _phase_s(times: Sequence[float]) -> float:
    """The mean phase of instants within a period of 1 s."""
    turns = [cmath.exp(2j * math.pi * t_s) for t_s in times]
    return cmath.phase(sum(turns)) / (2 * math.pi)


def _errors(times: Sequence[float]) -> list[float]:
    """Distance of each instant from the mean phase, within -0.5..0.5 s."""
    phase_s = _phase_s(times)
    return [(t_s - phase_s + 0.5) % 1.0 - 0.5 for t_s in times]


def _turns(phase_s: float, began_s: float, ended_s: float) -> int:
    """How often a phase comes round between two instants, give or take a hundredth."""
    return math.floor(ended_s - phase_s + 0.01) - math.ceil(began_s - phase_s - 0.01) + 1


def _percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


def _hostile(lengths: _Lengths) -> dict[str, float]:
    """Numbers that a device's faults made wrong and that were marked good all the same."""
    result = hostile.run(lengths.exchanges, _SEED)
    return {"wrong_marked_good": result.wrong_marked_good, "faulty_exchanges": result.exchanges}


# Serial lines


@dataclass(frozen=True, slots=True)
class _LineRun:
    """Shortest silence and requests a second as the line saw them; the agent's time a request."""

    gap_s: float
    requests_per_s: float
    busy_s: float


def _lines(lengths: _Lengths) -> dict[str, float]:
    """Speeds one after the other: a line with room, and one with more to read than it carries."""
    gaps, errors, uses = {}, [], []
    for baud in (9_600, 19_200):
        roomy = _line(baud, 1.0, lengths.line_s)
        full = _line(baud, 0.1, lengths.line_s)
        gaps[baud] = min(roomy.gap_s, full.gap_s)
        planned = _LINE_UNITS * _request_s(baud)
        errors.append(abs(roomy.busy_s * roomy.requests_per_s / planned - 1))
        uses.append(full.requests_per_s * _request_s(baud))
    return {
        "t35_min_ms_9600": 1e3 * gaps[9_600],
        "t35_min_ms_19200": 1e3 * gaps[19_200],
        "plan_error_pct": 100 * max(errors),
        "line_use_of_limit_pct": 100 * min(uses),
    }


def _line(baud: int, interval_s: float, seconds: float) -> _LineRun:
    turnaround = str(1e3 * _TURNAROUND_S)
    with child("line", "--baud", str(baud), "--turnaround-ms", turnaround) as line:
        bus = (
            f'type = "rtu"\ndevice = "{line.first}"\nbaud = {baud}\nparity = "none"\n'
            f"turnaround_s = {_TURNAROUND_S}\n"
        )
        with agent_on(bus, _LINE_UNITS, interval_s=interval_s) as agent:
            agent.rest(seconds)
            health = agent.stop().buses["line"]
        seen = line.result()
    return _LineRun(min(seen["gaps_s"]), seen["requests_per_s"], health.busy_s / health.requests)


def _request_s(baud: int) -> float:
    """The shortest that a read of 20 registers can take: frames, two silences, turnaround."""
    characters = 8 + 5 + 2 * REGISTERS
    return characters * CHARACTER_BITS / baud + 2 * silence_s(baud) + _TURNAROUND_S
