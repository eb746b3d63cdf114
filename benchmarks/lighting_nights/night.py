"""One night of one gateway: the cloud's planner, the signature, the gateway's plans and executor,
its field bus, and the lamps behind Modbus TCP.

Everything is the code that runs in service, up to the bytes of each command and read-back; clock,
disk folder and link are simulated, and the lamps are the simulator's (`firmware_sim`). Each minute
the light of every lamp is held against the plan that the gateway was last given, by an account of
its own (`_Given`), not by what the gateway believes.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from benchmarks.lighting_nights.field import CabinetOnABus, HandClock
from cloud.lighting.demand import DecidedBy, Decision, Demands
from cloud.lighting.model import Group, Place, gateway_plan, validity
from cloud.lighting.planner import Wanted, plan_groups
from cloud.lighting.signing import PlanSigner
from cloud.lighting.traffic import HOUR_US, without_counter
from edge.downlink import ACTIVE, NEXT, Plans
from edge.executor import Executor
from edge.executor import Place as EdgePlace
from edge.signature import PlanKeys
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import (
    FULL_LEVEL_PCT,
    Command,
    Fallback,
    Override,
    Plan,
    Source,
    decode_plan,
    encode_plan,
    fallback_at,
    level_at,
)
from protocols.time import US_PER_S, TimeUs, from_datetime

PARIS = ZoneInfo("Europe/Paris")
PLACE = Place(49.52, 5.77, PARIS)
FALLBACK = Fallback(-0.833, 100.0)
LAMPS = 4
STEP_US = 60 * US_PER_S
SLOT_US = 900 * US_PER_S
MINUTES = 17 * 60
TOLERANCE_PCT = 0.5

Mishap = Callable[[], None]


@dataclass(slots=True)
class Findings:
    """What was seen in some nights.

    `late`: lamps whose light differed from the plan for longer than a slot. `below`: slots in
    which a lamp was below the plan's level in every minute. `by_source`: lamp-minutes by the rule
    that commanded them. `requests`: that came over the bus. `overrides`: orders by hand that
    reached the gateway; `overrun`: group-minutes in which the gateway went by one after its end,
    `ignored`: in which it did not go by one that held.
    """

    lamp_slots: int = 0
    late: int = 0
    below: int = 0
    refused: int = 0
    restarts: int = 0
    requests: int = 0
    overrides: int = 0
    overrun: int = 0
    ignored: int = 0
    by_source: Counter[Source] = field(default_factory=Counter)


@dataclass(slots=True)
class _Given:
    """What the gateway must be acting on: kept by the simulation, beside the gateway."""

    plan: Plan | None = None
    sure: bool = True

    def command(self, group: GroupId, t_us: int) -> Command:
        if not self.sure:
            return Command(FULL_LEVEL_PCT, Source.FULL_ON)
        if self.plan is None:
            return fallback_at(
                FALLBACK,
                t_us,
                latitude_deg=PLACE.latitude_deg,
                longitude_deg=PLACE.longitude_deg,
            )
        part = next(part for part in self.plan.groups if part.group == group)
        return level_at(self.plan, part, t_us, clock_sure=True)

    def overridden(self, group: GroupId, t_us: int) -> bool:
        """Whether an order by hand that was given holds, by its two instants alone."""
        parts = self.plan.groups if self.plan is not None and self.sure else ()
        orders = [o for part in parts if part.group == group for o in part.overrides]
        return any(o.from_us <= t_us < o.until_us for o in orders)


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway and the night it goes through; `old_days`: days since its plan was issued."""

    gateway: GatewayId
    day: date
    seed: int
    old_days: int


class Night:
    """The state of one scene; `run` goes through it."""

    def __init__(self, scene: Scene, directory: Path, signer: PlanSigner, keys: PlanKeys) -> None:
        self._scene = scene
        self._directory = directory
        self._signer, self._keys = signer, keys
        self._chance = random.Random(scene.seed)
        noon = datetime.combine(scene.day, datetime.min.time(), PARIS) + timedelta(hours=12)
        self._begin_us = from_datetime(noon.astimezone(UTC)) + 4 * HOUR_US
        self._clock = HandClock(self._begin_us - scene.old_days * 24 * HOUR_US)
        self._groups = [_group(number) for number in range(2)]
        self._cabinet = CabinetOnABus(self._clock, scene.gateway, len(self._groups) * LAMPS)
        self._plans: Plans | None = None
        self._executor: Executor | None = None
        self._given = _Given()
        self._orders: dict[GroupId, list[Override]] = {group.group: [] for group in self._groups}
        self._off: dict[DeviceId, int] = {}
        self._under: Counter[DeviceId] = Counter()
        self.findings = Findings()

    async def run(self) -> Findings:
        """From before dusk to after dawn."""
        self._plans = Plans(self._directory, self._scene.gateway, self._keys)
        self._deliver(self._document(0))
        self._clock.t_us = self._begin_us
        async with self._cabinet:
            self._started()
            await self._gone_through()
        self.findings.requests = self._cabinet.requests
        return self.findings

    async def _gone_through(self) -> None:
        due: dict[int, list[Mishap]] = defaultdict(list)
        for minute, mishap in self._mishaps():
            due[minute].append(mishap)
        for minute in range(MINUTES):
            for mishap in due[minute]:
                mishap()
            await self._cabinet.settled()
            if self._executor is not None:
                await self._executor.step()
            self._look(minute)
            self._clock.t_us += STEP_US

    def _mishaps(self) -> Iterator[tuple[int, Mishap]]:
        """What befalls the gateway, and in which minute."""
        chance = self._chance
        for _ in range(chance.randint(0, 4)):
            begin = chance.randrange(MINUTES)
            yield begin, self._lose_bus
            yield begin + chance.randint(1, 9), self._find_bus
        for _ in range(chance.randint(0, 3)):
            begin, down = chance.randrange(MINUTES), chance.randint(1, 8)
            yield begin, self._stopped
            yield begin + down, self._restarted
            if chance.random() < 0.3:
                yield begin + down, self._lose_clock
                yield begin + down + chance.randint(1, 40), self._find_clock
        for _ in range(chance.randint(1, 4)):
            yield chance.randrange(MINUTES), self._offer_corrupt
        for number in range(chance.randint(0, 4)):
            yield chance.randrange(MINUTES), partial(self._new_plan, number + 1)
        for number in range(chance.randint(0, 3)):
            yield chance.randrange(MINUTES), partial(self._order, number)

    def _new_plan(self, number: int) -> None:
        """The link holds long enough for a new plan."""
        self._deliver(self._document(number))

    def _order(self, number: int) -> None:
        """Somebody orders a level for some time; a new plan takes it to the gateway, if that is up.
        The link may be lost from then on: the order ends all the same."""
        chance = random.Random(f"{self._scene.seed}/order/{number}")
        begin = self._clock.now_us() + chance.choice((0, 0, 20, 90)) * STEP_US
        end = begin + chance.randint(1, 300) * STEP_US
        level, priority = chance.choice((0.0, 30.0, 100.0)), chance.randint(0, 9)
        group = chance.choice(self._groups).group
        name, why = f"{number}", "essai"
        order = Override(name, TimeUs(begin), TimeUs(end), level, priority, why)
        self._orders[group].append(order)
        if self._deliver(self._document(100 + number)):
            self.findings.overrides += 1

    def _lose_bus(self) -> None:
        self._cabinet.lost = True

    def _find_bus(self) -> None:
        self._cabinet.lost = False

    def _lose_clock(self) -> None:
        self._given.sure = False

    def _find_clock(self) -> None:
        self._given.sure = True

    def _document(self, number: int) -> bytes:
        """A plan as the cloud issues it now, over hours whose classes chance has decided."""
        now_us = self._clock.now_us()
        chance = random.Random(f"{self._scene.seed}/{number}")
        valid = validity(now_us, PARIS)
        hours = [TimeUs(t) for t in range(valid.from_us, valid.until_us, HOUR_US)]
        wanted = []
        for group in self._groups:
            decided: dict[int, Decision] = {
                t: Decision(t, chance.randint(0, 2), DecidedBy.HOUR_AHEAD) for t in hours
            }
            orders = tuple(o for o in self._orders[group.group] if o.until_us > now_us)
            wanted.append(Wanted(Demands(group, without_counter(PARIS), decided), overrides=orders))
        parts = [one.part for one in plan_groups(wanted, PLACE, valid)]
        plan = gateway_plan(
            self._scene.gateway, parts, place=PLACE, valid=valid, now_us=TimeUs(now_us)
        )
        return self._signer.sealed(encode_plan(plan))

    def _deliver(self, document: bytes) -> bool:
        """The retained message arrives, if the gateway is up; whether it was taken."""
        if self._plans is None or not self._plans.offer(document, now_us=self._clock.now_us()):
            return False
        self._given.plan = decode_plan(document)
        return True

    def _offer_corrupt(self) -> None:
        if self._plans is None:
            return
        document = bytearray(self._document(99))
        place = self._chance.randrange(len(document))
        if self._chance.random() < 0.5:
            document[place] ^= 1 << self._chance.randrange(8)
        else:
            del document[place:]
        accepted = self._plans.offer(bytes(document), now_us=self._clock.now_us())
        self.findings.refused += not accepted
        if accepted:
            raise AssertionError("a corrupt plan was taken")

    def _started(self) -> None:
        self._plans = Plans(self._directory, self._scene.gateway, self._keys)
        self._executor = Executor(
            self._cabinet.connect(),
            self._cabinet.devices,
            place=EdgePlace(PLACE.latitude_deg, PLACE.longitude_deg, FALLBACK),
            plan=self._plans.current,
            clock=self._clock,
            clock_sure=lambda: self._given.sure,
            emit=lambda rows: None,
        )

    def _stopped(self) -> None:
        self._plans = self._executor = None
        self._cabinet.disconnect()
        self.findings.restarts += 1

    def _restarted(self) -> None:
        """Back from its disk, which the power cut may have damaged."""
        if self._plans is not None:
            return
        if self._chance.random() < 0.2:
            with suppress(FileNotFoundError):
                (self._directory / ACTIVE).write_bytes(b"eclor-signed-1 pl")
            (self._directory / NEXT).unlink(missing_ok=True)
            self._given.plan = None
        self._started()

    def _look(self, minute: int) -> None:
        """Hold the light against the plan."""
        commands = self._executor.commands() if self._executor is not None else {}
        for group in self._groups:
            command = self._given.command(group.group, self._clock.t_us)
            if commands:
                by_hand = commands[group.devices[0]][0].source is Source.OVERRIDE
                meant = self._given.overridden(group.group, self._clock.t_us)
                self.findings.overrun += by_hand and not meant
                self.findings.ignored += meant and not by_hand
            self.findings.by_source[command.source] += len(group.devices)
            for device in group.devices:
                self._compare(device, command, minute)

    def _compare(self, device: DeviceId, command: Command, minute: int) -> None:
        light = self._cabinet.level_pct(device)
        differs = abs(light - command.level_pct) > TOLERANCE_PCT
        self._off[device] = self._off.get(device, 0) + 1 if differs else 0
        self.findings.late += self._off[device] * STEP_US == SLOT_US + STEP_US
        self._under[device] += light < command.level_pct - TOLERANCE_PCT
        if (minute + 1) % (SLOT_US // STEP_US) == 0:
            self.findings.lamp_slots += 1
            self.findings.below += self._under.pop(device, 0) == SLOT_US // STEP_US


def _group(number: int) -> Group:
    return Group(
        group=GroupId(f"rue-{number}"),
        devices=tuple(DeviceId(f"lamp-{number * LAMPS + lamp:02d}") for lamp in range(LAMPS)),
        switch_elevation_deg=-0.833,
        normal_level_pct=100.0,
        factors=(1.0, 0.75, 0.5),
        capacity_per_h=600.0,
        ramp_s=60.0,
    )
