"""A lamp that does not follow is commanded again at every step, one that follows is left alone."""

from dataclasses import dataclass, field

from edge.errors import UnitRefused
from edge.executor import STEP_S, Executor, Place
from protocols.batch import Reading
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import FULL_LEVEL_PCT, Fallback, GroupPlan, Plan, Slot
from protocols.time import TimeUs

LAMP = DeviceId("lamp-07")


@dataclass
class SetClock:
    """A clock that the test sets."""

    now_s: float = 1e9

    def monotonic_s(self) -> float:
        return self.now_s

    def now_us(self) -> TimeUs:
        return TimeUs(round(self.now_s * 1e6))


@dataclass
class OneLamp:
    """Refuses `refusals` commands, then moves towards the last one by `step_pct` a look."""

    refusals: int = 0
    step_pct: float = 100.0
    level_pct: float = 0.0
    writes: list[float] = field(default_factory=list)

    async def write_level(self, device: DeviceId, level_pct: float) -> None:
        self.writes.append(level_pct)
        if len(self.writes) <= self.refusals:
            raise UnitRefused(2, 4)

    async def read_level(self, device: DeviceId) -> float | None:
        self.level_pct = min(self.writes[-1], self.level_pct + self.step_pct)
        return self.level_pct


async def outcomes(lamp: OneLamp, *, steps: int) -> list[str]:
    """What is told of a lamp that is to be fully on, in `steps` steps."""
    clock, told = SetClock(), list[Reading]()
    executor = Executor(
        lamp,
        [LAMP],
        place=Place(49.5, 5.8, Fallback(-0.833, 40.0)),
        plan=lambda _: None,
        clock=clock,
        clock_sure=lambda: False,
        emit=told.extend,
    )
    for _ in range(steps):
        await executor.step()
        clock.now_s += STEP_S
    return [str(row.physical("outcome")) for row in told]


async def test_a_lamp_that_refuses_once_is_commanded_again_at_the_next_step() -> None:
    lamp = OneLamp(refusals=1)
    assert await outcomes(lamp, steps=3) == ["rejected", "verified"]
    assert lamp.writes == [FULL_LEVEL_PCT] * 2


async def test_a_lamp_that_fades_slowly_is_not_called_rejected() -> None:
    assert await outcomes(OneLamp(step_pct=17.0), steps=7) == ["verified"]


async def test_a_lamp_that_refuses_for_good_is_told_once_and_tried_at_every_step() -> None:
    lamp = OneLamp(refusals=100)
    assert await outcomes(lamp, steps=10) == ["rejected"]
    assert len(lamp.writes) == 10


async def test_a_lamp_is_led_down_a_ramp_and_only_its_end_is_told() -> None:
    clock, told, lamp = SetClock(), list[Reading](), OneLamp()
    begin = clock.now_us()
    slots = (Slot(TimeUs(begin - 3_600_000_000), 100.0), Slot(begin, 70.0))
    fallback = Fallback(-0.833, 100.0)
    group = GroupPlan(GroupId("rue"), (LAMP,), slots, fallback, ramp_s=30.0)
    valid = slots[0].t_us, TimeUs(begin + 3_600_000_000)
    plan = Plan("p", GatewayId("cab-1"), valid[0], *valid, 49.5, 5.8, (group,))
    executor = Executor(
        lamp,
        [LAMP],
        place=Place(49.5, 5.8, fallback),
        plan=lambda _: plan,
        clock=clock,
        clock_sure=lambda: True,
        emit=told.extend,
    )
    for _ in range(5):
        await executor.step()
        assert executor.pause_s() <= STEP_S
        clock.now_s += STEP_S
    assert lamp.writes == [100.0, 90.0, 80.0, 70.0]
    assert [row.physical("requested_pct") for row in told] == [70.0]
