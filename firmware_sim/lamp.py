"""One dimmable luminaire: obeys the last level written, fails towards light."""

from enum import IntEnum

from firmware_sim.integral import Energy, Warmth
from firmware_sim.scenario import LampModel

FULL_PCT = 100.0
_RISE_C = 28.0  # control gear above the air at rated power
_TAU_S = 1800.0

# Bits of the status column of the reading kind `light`.
LAMP_FAILURE, GEAR_FAILURE, COMM_FAILURE = 1, 2, 4


class Fault(IntEnum):
    """What is broken, as the status bit that reports it."""

    NONE = 0
    LAMP = LAMP_FAILURE
    GEAR = GEAR_FAILURE


class Lamp:
    """Light, power, energy and warmth of a luminaire. Time goes forward only.

    `target_pct` is the last level written; `output_pct` what it does. They differ when the lamp
    fails, is held at its least level, or runs at its system failure level because nobody wrote.
    """

    def __init__(
        self, model: LampModel, *, rated_w: float, start_us: int, energy_wh: float, fails_us: int
    ) -> None:
        self.model = model
        self.rated_w = rated_w
        self.target_pct = FULL_PCT
        self.written_us = start_us
        self.fault = Fault.NONE
        self.fails_us = fails_us
        self.fed = True
        self._commanded_pct = FULL_PCT  # power-on level (IEC 62386-102: 254 unless set otherwise)
        self.energy = Energy(energy_wh, self._power_w(), start_us)
        self.warmth = Warmth(_RISE_C, _RISE_C, start_us, _TAU_S)

    def write(self, t_us: int, level_pct: float) -> None:
        """Obey a level, 0..100 %."""
        self.target_pct = level_pct
        self.written_us = t_us
        if self.fed:
            self._command(t_us, level_pct)

    def keep(self, t_us: int, level_pct: float) -> bool:
        """Note a write that changes nothing, which is most of them; False: it changes something."""
        if level_pct != self._commanded_pct or not self.fed:
            return False
        self.target_pct = level_pct
        self.written_us = t_us
        return True

    def lose_contact(self, t_us: int) -> None:
        """Go to the system failure level (IEC 62386-102: 254, full, unless set otherwise)."""
        if self.fed:
            self._command(t_us, FULL_PCT)

    def feed(self, t_us: int, *, fed: bool) -> None:
        """Mains on or off; on return the lamp is at its power-on level, full, until written to."""
        self.fed = fed
        self._command(t_us, FULL_PCT if fed else 0.0)

    def fail(self, t_us: int, fault: Fault) -> None:
        self.fault = fault
        self._settle(t_us)

    @property
    def at_failure_level(self) -> bool:
        """Whether losing contact would change nothing."""
        return self._commanded_pct == FULL_PCT or not self.fed

    @property
    def output_pct(self) -> float:
        """Light given, per cent of full."""
        if self.fault or not self.fed or self._commanded_pct == 0:
            return 0.0
        return max(self._commanded_pct, self.model.min_level_pct)

    @property
    def power_w(self) -> float:
        return self.energy.power_w

    @property
    def status(self) -> int:
        return int(self.fault) if self.fed else int(self.fault) | COMM_FAILURE

    def _command(self, t_us: int, level_pct: float) -> None:
        self._commanded_pct = level_pct
        self._settle(t_us)

    def _settle(self, t_us: int) -> None:
        power_w = self._power_w()
        self.energy.change(t_us, power_w)
        self.warmth.change(t_us, _RISE_C * power_w / self.rated_w)

    def _power_w(self) -> float:
        if not self.fed:
            return 0.0
        share = self.output_pct / 100
        if share == 0:
            return self.model.standby_w
        idle_w = self.model.idle_share * self.rated_w
        return idle_w + (self.rated_w - idle_w) * share
