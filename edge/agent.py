"""The agent put together: field, aggregation, outbox, uplink and lights as tasks of one loop.

A fault in one task ends the agent in order: what was measured is stored first, then the process
ends with an error and the service manager starts it anew. Nothing is restarted inside the process,
where a half-broken state could live on.
"""

import asyncio
import random
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from pathlib import Path

from edge import documents, events, field_events
from edge.aggregation import Aggregator
from edge.backfill import PROGRESS, Chunk, chunks
from edge.batching import LaneRule
from edge.bus.field import Field
from edge.bus.poller import level_point
from edge.bus.report import FieldReport, write_report
from edge.clock import ClockTrust
from edge.committer import CLOCK, Committer
from edge.config import EdgeConfig
from edge.config_devices import DeviceSettings
from edge.delivery import Policy
from edge.downlink import Plans
from edge.errors import NotCommandable, TraceUnreadable
from edge.executor import Executor, Place
from edge.health import EVERY_S as HEALTH_EVERY_S
from edge.health import health_row
from edge.outbox import Outbox, RingRule
from edge.replay import Replay
from edge.sender import Sender
from edge.sensors.mqtt import Sensors
from edge.signature import PlanKeys
from edge.state import state_document
from edge.statedir import StateDir
from edge.trace import TraceReport
from edge.uplink import Uplink
from edge.watchdog import Notify, Watchdog
from protocols.ids import DeviceId, Lane
from protocols.plan import Fallback
from protocols.time import Clock

COMMIT_EVERY_S = 1.0
DRAIN_S = 2.0
"""How long a stop waits for the last acknowledgements; what is left waits on disk."""
_LEAVE_S = 0.5
_ROWS_A_COUNT = 60  # the counters of the buses are logged once an hour
_FIELD_SLACK_S = 30.0
_BACKFILL_PAUSE_S = 1.0


class Agent:
    """One gateway. AlreadyRunning or OutboxForeign if the state directory is not its own."""

    def __init__(
        self,
        config: EdgeConfig,
        *,
        clock: Clock,
        chance: random.Random,
        notify: Notify,
        watchdog_s: float | None = None,
    ) -> None:
        self._config = config
        self._clock = clock
        self._notify = notify
        self._started_s = clock.monotonic_s()
        self._commits = 0
        self._state_dir = StateDir(config.gateway.state_dir)
        self._lanes = LaneRule(self._started_s)
        self._sender = Sender(clock=clock, policy=Policy(), chance=chance)
        self._aggregator = Aggregator(config.measured, started_us=clock.now_us(), recalled=False)
        self._committer = Committer(
            self._open_outbox,
            clock=clock,
            sender=self._sender,
            lanes=self._lanes,
            counters=self._aggregator.state,
            recall=self._aggregator.recall,
            chance=chance,
        )
        self._committer.cycle()  # opens the outbox, if it can be had: the counters go on from it
        self._plans = Plans(
            config.gateway.state_dir,
            config.gateway.id,
            PlanKeys(config.lighting.plan_keys, unsigned=config.lighting.unsigned_plans),
        )
        self._field = Field(config.buses, config.devices, clock=clock, emit=self._aggregator.add)
        self._sources = self._made_sources()
        self._executor = self._made_executor()
        self._uplink = Uplink(
            config.uplink,
            config.gateway.id,
            clock=clock,
            sender=self._sender,
            lanes=self._lanes,
            state=self._state,
            on_plan=self._take_plan,
            chance=chance,
        )
        self._watchdog = self._made_watchdog(watchdog_s)

    async def run(self, stop: asyncio.Event, *, trace: Path | None = None) -> None:
        """Work until `stop` is set, then end within 5 s; raises what a task failed with."""
        tasks = [
            asyncio.create_task(work, name=name) for name, work in self._work(trace, stop).items()
        ]
        uplink = asyncio.create_task(self._uplink.run(), name="uplink")
        gateway = self._config.gateway
        events.AGENT_STARTED(gateway_id=gateway.id, state_dir=gateway.state_dir)
        self._notify("READY=1")
        try:
            await _until_first_end([*tasks, uplink], optional="backfill")
        finally:
            self._notify("STOPPING=1")
            await _cancelled(tasks)
            await self._last_words(uplink)

    def _work(
        self, trace: Path | None, stop: asyncio.Event
    ) -> dict[str, Coroutine[object, object, object]]:
        work: dict[str, Coroutine[object, object, object]] = {
            "stop": stop.wait(),
            "commit": self._commit(),
            "health": self._report_health(),
            "field": self._field.run() if self._config.buses else _idle(),
            "lights": self._executor.run(),
        }
        work |= {f"bus {source.name}": source.run() for source in self._sources}
        if self._watchdog is not None:
            work["watchdog"] = self._feed(self._watchdog)
        if trace is not None:
            work["backfill"] = self._backfill(trace)
        return work

    async def _last_words(self, uplink: asyncio.Task[None]) -> None:
        """Store what was measured, give it a moment to be acknowledged, and say goodbye."""
        self._committer.add(self._aggregator.close_all(self._clock.now_us()))
        if not self._committer.cycle():
            events.ROWS_LOST_AT_STOP(rows=self._committer.waiting_rows)
        if not uplink.done():
            await self._uplink.drained(DRAIN_S)
            await self._uplink.leave(_LEAVE_S)
        await _cancelled([uplink])
        self._committer.cycle()  # what has been acknowledged since
        self._write_field_report()
        pending = sum(self._sender.pending(lane) for lane in Lane)
        self._committer.close()
        self._state_dir.release()
        events.AGENT_STOPPED(gateway_id=self._config.gateway.id, pending_batches=pending)

    async def _commit(self) -> None:
        while True:
            self._committer.add(self._aggregator.close_due(self._clock.now_us()))
            self._committer.cycle()
            self._commits += 1
            await self._until_next_cycle()

    async def _until_next_cycle(self) -> None:
        """Record acknowledgements in between while sending waits for that."""
        next_s = self._clock.monotonic_s() + COMMIT_EVERY_S
        while (left_s := next_s - self._clock.monotonic_s()) > 0:
            if await self._sender.record.wait(left_s):
                self._committer.settle()

    async def _report_health(self) -> None:
        rows = 0
        while True:
            await asyncio.sleep(HEALTH_EVERY_S)
            row = health_row(
                self._clock.now_us(),
                uptime_s=self._clock.monotonic_s() - self._started_s,
                field=self._field.health,
                usage=self._committer.usage(),
                state_dir=self._config.gateway.state_dir,
            )
            self._committer.add([row])
            self._write_field_report()
            rows += 1
            if rows % _ROWS_A_COUNT == 0:
                self._log_buses()

    def _log_buses(self) -> None:
        uptime_s = self._clock.monotonic_s() - self._started_s
        at_once = {bus.name: bus.in_flight for bus in self._config.buses}
        for bus, health in self._field.by_bus.items():
            room_s = uptime_s * at_once.get(bus, 1)
            field_events.BUS_COUNTED(
                bus=bus,
                busy_pct=round(100 * health.busy_s / room_s, 1),
                polls_ok=health.polls_ok,
                polls_failed=health.polls_failed,
                polls_late=health.polls_late,
                polls_missed=health.polls_missed,
                units_lost=health.units_lost,
            )

    def _write_field_report(self) -> None:
        """For who asks how busy the buses are; a disk that is full has been reported elsewhere."""
        uptime_s = self._clock.monotonic_s() - self._started_s
        report = FieldReport(self._clock.now_us(), uptime_s, self._field.by_bus)
        with suppress(OSError):
            write_report(self._config.gateway.state_dir, report)

    async def _feed(self, watchdog: Watchdog) -> None:
        while True:
            watchdog.check()
            await asyncio.sleep(watchdog.period_s)

    async def _backfill(self, trace: Path) -> None:
        report = TraceReport()
        devices = self._config.measured
        progress = self._committer.document(PROGRESS)
        while progress is None:
            await asyncio.sleep(_BACKFILL_PAUSE_S)
            progress = self._committer.document(PROGRESS)
        try:
            for chunk in chunks(devices, trace, progress=progress, report=report):
                if chunk is None:
                    await asyncio.sleep(0)
                else:
                    await self._store_history(chunk)
        except TraceUnreadable as exc:
            events.BACKFILL_FAILED(error=exc)
            return
        events.BACKFILL_DONE(
            samples=report.samples, rows=report.rows_stored, bad_lines=report.bad_lines
        )

    async def _store_history(self, chunk: Chunk) -> None:
        """Wait for room: a trace must not push out its own beginning."""
        while True:
            await asyncio.sleep(0)  # polls and uplink come between two chunks
            if self._has_room() and self._committer.store_history(
                chunk.rows, documents=chunk.documents
            ):
                return
            await asyncio.sleep(_BACKFILL_PAUSE_S)

    def _has_room(self) -> bool:
        usage = self._committer.usage()
        return usage is not None and usage.waiting_bytes < self._config.outbox.max_bytes / 3

    def _open_outbox(self, damaged: bool) -> Outbox:  # noqa: FBT001 - the committer's question
        self._state_dir.claim()
        return Outbox.open(
            self._state_dir.directory,
            gateway=self._config.gateway.id,
            max_bytes=self._config.outbox.max_bytes,
            now_us=self._clock.now_us(),
            ring=RingRule(max_age_s=self._config.outbox.ring_hours * 3_600),
            damaged=damaged,
        )

    def _take_plan(self, document: bytes) -> None:
        if self._plans.offer(document, now_us=self._clock.now_us()):
            self._executor.wake()

    def _state(self, online: bool) -> bytes:  # noqa: FBT001 - the uplink's question
        gateway = self._config.gateway.id
        return state_document(gateway, self._clock.now_us(), self._plans, online=online)

    def _made_executor(self) -> Executor:
        gateway, lighting = self._config.gateway, self._config.lighting
        known_us = documents.whole_number(self._committer.document(CLOCK))
        trust = ClockTrust(self._clock, lambda: max(known_us, self._plans.issued_us))
        return Executor(
            self._field,
            _lamps(self._config.devices),
            place=Place(
                gateway.latitude_deg,
                gateway.longitude_deg,
                Fallback(lighting.fallback_elevation_deg, lighting.fallback_level_pct),
            ),
            plan=self._plans.current,
            clock=self._clock,
            clock_sure=trust.sure,
            emit=self._committer.add,
        )

    def _made_sources(self) -> list[Sensors | Replay]:
        """Whatever brings samples beside the field bus."""
        config, emit = self._config, self._aggregator.add
        sensors = [
            Sensors(
                bus,
                [device for device in config.sensors if device.bus == bus.name],
                gateway=config.gateway.id,
                clock=self._clock,
                emit=emit,
                polls=self._field.counters(bus.name),
            )
            for bus in config.sensor_buses
            if any(device.bus == bus.name for device in config.sensors)
        ]
        replays = [
            Replay(
                bus,
                [device for device in config.replayed if device.bus == bus.name],
                clock=self._clock,
                emit=emit,
                polls=self._field.counters(bus.name),
            )
            for bus in config.replay_buses
        ]
        return [*sensors, *replays]

    def _made_watchdog(self, timeout_s: float | None) -> Watchdog | None:
        if timeout_s is None:
            return None
        watchdog = Watchdog(clock=self._clock, notify=self._notify, timeout_s=timeout_s)
        watchdog.watch(lambda: self._commits, every_s=COMMIT_EVERY_S)
        intervals_s = [device.interval_s for device in self._config.devices]
        if intervals_s:
            watchdog.watch(
                lambda: self._field.polls,
                every_s=3 * min(intervals_s) + _FIELD_SLACK_S,
            )
        return watchdog


def _lamps(devices: Iterable[DeviceSettings]) -> list[DeviceId]:
    """The devices whose light can be commanded."""
    lamps = []
    for device in devices:
        try:
            level_point(device)
        except NotCommandable:
            continue
        lamps.append(device.id)
    return lamps


async def _idle() -> None:
    await asyncio.Event().wait()


async def _until_first_end(tasks: list[asyncio.Task[object]], *, optional: str) -> None:
    """Return when a task ends, `optional` apart; raise what it ended with."""
    running = set(tasks)
    while True:
        done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if (exc := task.exception()) is not None:
                events.TASK_FAILED(task=task.get_name(), error=repr(exc))
                raise exc
        if any(task.get_name() != optional for task in done):
            return


async def _cancelled(tasks: list[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
