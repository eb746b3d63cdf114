"""A lighting cabinet: contactor, meter and lamps, tied by one balance.

The feeder's power is the sum of its lamps' powers and of the cabinet's own use, at every instant;
its energy counter is the integral of that. The contactor is closed unless somebody opens it: lamps
that are dimmed by a bus stay fed by day.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta

from firmware_sim import chance
from firmware_sim.civil import CivilTime, hours_us
from firmware_sim.errors import ExceptionCode, RequestRefusedError
from firmware_sim.integral import Energy
from firmware_sim.lamp import FULL_PCT, Fault, Lamp
from firmware_sim.mains import Mains
from firmware_sim.scenario import CabinetSpec
from firmware_sim.sky import Sky
from protocols.ids import DeviceId
from protocols.registers import Value
from protocols.time import US_PER_S

# Bits of the status column of the reading kind `ambient`.
DOOR_OPEN, CONTACTOR_CLOSED, PHOTOCELL_DARK = 1, 2, 4

_YEAR_H = 8766.0
_PHOTOCELL_LX = 35.0  # common switching level of public lighting
_CABINET_RISE_C = 5.0
_RATING_SPREAD = 0.02  # lamps of one type differ by about this much
_GEAR_SHARE = 0.3  # of the failures; the others are the lamp's
_VISITS_PER_WEEK = 0.3
_DROP_V_PER_LAMP = 0.08  # voltage lost along the cable, lamp to lamp, at full load


class Cabinet:
    """The physics behind one cabinet's units. Time goes forward only."""

    def __init__(
        self,
        spec: CabinetSpec,
        *,
        names: tuple[int, str],
        sky: Sky,
        civil: CivilTime,
        start_us: int,
    ) -> None:
        self._spec = spec
        self._seed, self._name = names
        self._sky = sky
        self._civil = civil
        self._mains = Mains(*names)
        self._t_us = start_us
        self._closed = True
        self._failure_after_us = round(spec.failure_after_s * US_PER_S)
        self._lamps = [self._lamp(place, start_us) for place in range(len(spec.lamps))]
        self._by_device = dict(zip(spec.lamps, self._lamps, strict=True))
        self._place = {device: place for place, device in enumerate(spec.lamps)}
        meter_wh = chance.stream(self._seed, self._name, "meter").uniform(5e6, 20e6)
        self._phases = [
            Energy(meter_wh / 3, self._phase_power_w(phase), start_us) for phase in range(3)
        ]
        self._next_event_us = start_us

    def devices(self) -> Iterator[DeviceId]:
        yield from (self._spec.feeder, self._spec.switchgear, *self._spec.lamps)

    def advance(self, to_us: int) -> None:
        """Let everything happen that is due up to `to_us`, in its order."""
        while self._next_event_us <= to_us:
            due_us = self._next_event_us
            for place, lamp in enumerate(self._lamps):
                self._events(place, lamp, due_us)
            self._next_event_us = min(self._due_us(lamp) for lamp in self._lamps)
        self._t_us = max(self._t_us, to_us)

    def write_level(self, device: DeviceId, level_pct: float) -> None:
        """Command one lamp, 0..100 %, now."""
        lamp = self._by_device[device]
        if lamp.keep(self._t_us, level_pct):
            return
        before_w = lamp.power_w
        lamp.write(self._t_us, level_pct)
        self._next_event_us = min(self._next_event_us, self._due_us(lamp))
        if lamp.power_w != before_w:
            self._load_changed(self._place[device] % 3, self._t_us)

    def switch(self, *, closed: bool) -> None:
        """Close or open the contactor, now."""
        if closed == self._closed:
            return
        self._closed = closed
        for lamp in self._lamps:
            lamp.feed(self._t_us, fed=closed)
        for phase in range(3):
            self._load_changed(phase, self._t_us)
        self._next_event_us = min(self._due_us(lamp) for lamp in self._lamps)

    def write(self, device: DeviceId, quantity: str, value: float) -> None:
        """Obey a written point; RequestRefusedError for one that this device does not have."""
        if device in self._by_device and quantity == "level_pct":
            self.write_level(device, value)
        elif device == self._spec.switchgear and quantity == "contactor":
            self.switch(closed=bool(value))
        else:
            raise RequestRefusedError(
                ExceptionCode.ILLEGAL_ADDRESS, f"{device} has nothing to write at {quantity}"
            )

    def quantities(self, device: DeviceId) -> Mapping[str, Value]:
        """What the device measures now, by the column of its reading kind."""
        if device == self._spec.feeder:
            return self._feeder()
        if device == self._spec.switchgear:
            return self._switchgear()
        return self._light(device)

    def truth(self) -> Iterator[dict[str, object]]:
        """The state of each lamp now, whether or not a register tells."""
        for device, lamp in self._by_device.items():
            yield {
                "what": "lamp",
                "device": device,
                "output_pct": round(lamp.output_pct, 3),
                "power_w": round(lamp.power_w, 3),
                "energy_wh": round(lamp.energy.at(self._t_us), 3),
                "fault": lamp.fault.name.lower(),
                "fed": lamp.fed,
            }

    def _lamp(self, place: int, start_us: int) -> Lamp:
        rng = chance.stream(self._seed, self._name, "lamp", place)
        rated_w = self._spec.lamp_model.rated_w * (1 + _RATING_SPREAD * rng.uniform(-1, 1))
        energy_wh = rng.uniform(150e3, 250e3)  # about a year of nights
        fails_us = start_us
        if rng.random() >= self._spec.failed_share:
            rate = max(self._spec.failures_per_year, 1e-9)
            fails_us += hours_us(min(rng.expovariate(rate), 1e3) * _YEAR_H)
        return Lamp(
            self._spec.lamp_model,
            rated_w=rated_w,
            start_us=start_us,
            energy_wh=energy_wh,
            fails_us=fails_us,
        )

    def _events(self, place: int, lamp: Lamp, due_us: int) -> None:
        """What is due for one lamp at `due_us`: a failure, or the loss of contact."""
        before_w = lamp.power_w
        if lamp.fault is Fault.NONE and lamp.fails_us <= due_us:
            draw = chance.stream(self._seed, self._name, "fault", place).random()
            lamp.fail(due_us, Fault.GEAR if draw < _GEAR_SHARE else Fault.LAMP)
        if not lamp.at_failure_level and lamp.written_us + self._failure_after_us <= due_us:
            lamp.lose_contact(due_us)
        if lamp.power_w != before_w:
            self._load_changed(place % 3, due_us)

    def _due_us(self, lamp: Lamp) -> int:
        """When something next happens to `lamp` by itself."""
        fails_us = lamp.fails_us if lamp.fault is Fault.NONE else 2**63
        lost_us = 2**63 if lamp.at_failure_level else lamp.written_us + self._failure_after_us
        return min(fails_us, lost_us)

    def _load_changed(self, phase: int, t_us: int) -> None:
        self._phases[phase].change(t_us, self._phase_power_w(phase))

    def _phase_power_w(self, phase: int) -> float:
        own_w = self._spec.own_use_w if phase == 0 else 0.0
        return own_w + sum(lamp.power_w for lamp in self._lamps[phase::3])

    def _feeder(self) -> Mapping[str, Value]:
        powers = [phase.power_w for phase in self._phases]
        volts = [self._mains.voltage_v(phase, self._t_us) for phase in range(3)]
        factors = [self._power_factor(power) for power in powers]
        apparent = [power / factor for power, factor in zip(powers, factors, strict=True)]
        amps = [va / volt for va, volt in zip(apparent, volts, strict=True)]
        total_va = sum(apparent)
        return {
            **{f"voltage_l{n}_v": volt for n, volt in enumerate(volts, 1)},
            **{f"current_l{n}_a": amp for n, amp in enumerate(amps, 1)},
            "power_w": sum(powers),
            "energy_import_wh": int(sum(phase.at(self._t_us) for phase in self._phases)),
            "power_factor": sum(powers) / total_va if total_va else 1.0,
            "frequency_hz": self._mains.frequency_hz(self._t_us),
        }

    def _power_factor(self, power_w: float) -> float:
        """LED drivers: 0.95 at full load, towards 0.6 in standby, where their filters remain."""
        share = power_w / (self._spec.lamp_model.rated_w * max(len(self._lamps), 1) / 3)
        return 0.60 + 0.37 * share / (share + 0.05)

    def _switchgear(self) -> Mapping[str, Value]:
        illuminance_lx = self._sky.illuminance_lx(self._t_us)
        status = (
            DOOR_OPEN * self._door_open()
            | CONTACTOR_CLOSED * self._closed
            | PHOTOCELL_DARK * (illuminance_lx < _PHOTOCELL_LX)
        )
        return {
            "illuminance_lx": illuminance_lx,
            "temperature_c": self._sky.temperature_c(self._t_us) + _CABINET_RISE_C,
            "status": status,
            "contactor": int(self._closed),
        }

    def _door_open(self) -> bool:
        """Somebody works at the cabinet about every third week, in working hours, for a while."""
        local = self._civil.local(self._t_us)
        monday = local.date() - timedelta(days=local.weekday())
        rng = chance.stream(self._seed, self._name, "visit", monday.toordinal())
        if rng.random() >= _VISITS_PER_WEEK:
            return False
        day, begin_h, length_h = rng.randrange(5), rng.uniform(8, 16), rng.uniform(0.3, 1.0)
        hour = local.hour + local.minute / 60
        return local.weekday() == day and begin_h <= hour < begin_h + length_h

    def _light(self, device: DeviceId) -> Mapping[str, Value]:
        """A lamp without mains cannot be asked: its controller knows the target and that."""
        lamp = self._by_device[device]
        if not lamp.fed:
            return dict.fromkeys(_TOLD_BY_LAMP) | {
                "target_pct": lamp.target_pct,
                "status": lamp.status,
            }
        place = self._place[device]
        load = self._phases[place % 3].power_w / (FULL_PCT * max(len(self._lamps), 1) / 3)
        return {
            "level_pct": lamp.output_pct,
            "target_pct": lamp.target_pct,
            "power_w": lamp.power_w,
            "energy_wh": int(lamp.energy.at(self._t_us)),
            "voltage_v": self._mains.voltage_v(place % 3, self._t_us)
            - _DROP_V_PER_LAMP * place * load,
            "temperature_c": self._sky.temperature_c(self._t_us) + lamp.warmth.at(self._t_us),
            "status": lamp.status,
        }


_TOLD_BY_LAMP = ("level_pct", "power_w", "energy_wh", "voltage_v", "temperature_c")
