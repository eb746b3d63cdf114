"""At every instant exactly one program holds, by the order of the plan; overrides always end."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols import sun
from protocols.documents import DocumentError
from protocols.ids import DeviceId, GatewayId, GroupId
from protocols.plan import (
    MAX_OVERRIDE_US,
    PROFILE_WEEKS,
    Fallback,
    GroupPlan,
    Override,
    Plan,
    Slot,
    Source,
    decode_plan,
    encode_plan,
    level_at,
    next_change_us,
)
from protocols.time import US_PER_S, TimeUs, from_datetime

HOUR_US = 3600 * US_PER_S
DAY_US = 24 * HOUR_US
NOON = from_datetime(datetime(2026, 10, 20, 11, tzinfo=UTC))
END = TimeUs(NOON + 8 * DAY_US)
LATITUDE, LONGITUDE = 49.5, 5.8


def night(day: int) -> list[Slot]:
    begin = NOON + day * DAY_US + 5 * HOUR_US
    times = ((0, 100.0), (4, 75.0), (6, 50.0), (11, 100.0), (14, 0.0))
    return [Slot(TimeUs(begin + hour * HOUR_US), level) for hour, level in times]


SLOTS = (Slot(NOON, 0.0), *(slot for day in range(8) for slot in night(day)))


def plan(overrides: tuple[Override, ...] = ()) -> Plan:
    group = GroupPlan(
        GroupId("rue-haute"), (DeviceId("lamp-00"),), SLOTS, Fallback(-0.833, 90.0), overrides
    )
    gateway = GatewayId("cab-1")
    return Plan("p", gateway, NOON, NOON, END, LATITUDE, LONGITUDE, (group,))


@st.composite
def overrides(draw: st.DrawFn) -> tuple[Override, ...]:
    count = draw(st.integers(0, 4))
    found = []
    for number in range(count):
        begin = NOON + draw(st.integers(-DAY_US, 9 * DAY_US))
        length = draw(st.integers(1, MAX_OVERRIDE_US))
        level = draw(st.sampled_from([0.0, 30.0, 100.0]))
        priority = draw(st.integers(0, 3))
        end = TimeUs(begin + length)
        found.append(Override(f"o{number}", TimeUs(begin), end, level, priority, "fair"))
    return tuple(found)


INSTANTS = st.integers(NOON - 2 * DAY_US, NOON + 60 * DAY_US)


@given(overrides(), INSTANTS)
def test_one_program_holds_at_every_instant_and_it_is_the_first_of_the_order(
    chosen: tuple[Override, ...], t_us: int
) -> None:
    ordered = decode_plan(encode_plan(plan(chosen)))
    command = level_at(ordered, ordered.groups[0], t_us, clock_sure=True)
    now = [o for o in chosen if o.from_us <= t_us < o.until_us]
    dark = sun.elevation_deg(t_us, latitude_deg=LATITUDE, longitude_deg=LONGITUDE) < -0.833
    if now:
        best = max(o.priority for o in now)
        assert command.source is Source.OVERRIDE
        assert command.level_pct in {o.level_pct for o in now if o.priority == best}
    elif NOON <= t_us < END:
        assert command.source is Source.PLAN
    elif not dark:
        assert (command.source, command.level_pct) == (Source.FALLBACK, 0.0)
    elif END <= t_us < END + PROFILE_WEEKS * 7 * DAY_US:
        assert command.source in (Source.PROFILE, Source.FALLBACK)
        assert command.level_pct > 0
    else:
        assert (command.source, command.level_pct) == (Source.FALLBACK, 90.0)
    assert command.source.talq_reason in {"override", "program", "default"}


@given(overrides(), st.integers(0, 20 * DAY_US))
def test_every_override_has_ended_a_week_after_it_began(
    chosen: tuple[Override, ...], after_us: int
) -> None:
    ordered = plan(chosen)
    t_us = max((o.from_us for o in chosen), default=NOON) + MAX_OVERRIDE_US + after_us
    command = level_at(ordered, ordered.groups[0], t_us, clock_sure=True)
    assert command.source is not Source.OVERRIDE


@given(overrides(), INSTANTS)
def test_between_two_changes_nothing_but_the_sun_changes_the_level(
    chosen: tuple[Override, ...], t_us: int
) -> None:
    ordered = plan(chosen)
    group = ordered.groups[0]
    after = next_change_us(ordered, t_us)
    before = level_at(ordered, group, t_us, clock_sure=True)
    if before.source in (Source.OVERRIDE, Source.PLAN):
        assert after is not None
        assert level_at(ordered, group, after - 1, clock_sure=True) == before


@given(st.integers(0, PROFILE_WEEKS * 7 * DAY_US - 1))
def test_the_profile_gives_no_less_than_the_same_hour_of_the_last_planned_week(after: int) -> None:
    ordered = plan()
    t_us = END + after
    command = level_at(ordered, ordered.groups[0], t_us, clock_sure=True)
    if command.source is Source.PROFILE:
        then_us = t_us - 7 * DAY_US * (1 + after // (7 * DAY_US))
        then = level_at(ordered, ordered.groups[0], then_us, clock_sure=True)
        assert command.level_pct >= then.level_pct


@pytest.mark.parametrize(
    "override",
    [
        Override("o", NOON, NOON, 100.0, 0, "empty"),
        Override("o", NOON, TimeUs(NOON + MAX_OVERRIDE_US + 1), 100.0, 0, "too long"),
        Override("o", NOON, TimeUs(NOON + 1), 101.0, 0, "too bright"),
    ],
)
def test_an_override_that_does_not_end_or_fit_is_refused(override: Override) -> None:
    with pytest.raises(DocumentError, match=r"must end|level"):
        decode_plan(encode_plan(plan((override,))))


def test_a_plan_without_overrides_is_written_as_before_there_were_any() -> None:
    assert b"overrides" not in encode_plan(plan())
    some = plan((Override("o", NOON, TimeUs(NOON + 1), 10.0, 0, "x"),))
    assert decode_plan(encode_plan(some)) == some
    assert decode_plan(encode_plan(some)) != replace(some, groups=plan().groups)


RAMPED = replace(plan().groups[0], ramp_s=60.0)


@given(INSTANTS)
def test_a_ramp_goes_down_in_time_and_is_never_below_its_slot(t_us: int) -> None:
    ordered = decode_plan(encode_plan(replace(plan(), groups=(RAMPED,))))
    assert ordered.groups[0] == RAMPED
    (steps, ramped) = (
        level_at(ordered, group, t_us, clock_sure=True) for group in (plan().groups[0], RAMPED)
    )
    assert ramped.level_pct >= steps.level_pct
    assert ramped.ramping or ramped == steps
    change_us = next_change_us(ordered, t_us)
    if change_us is not None and ordered.valid_from_us <= t_us:
        until = level_at(ordered, RAMPED, change_us - 1, clock_sure=True)
        assert until == ramped or ramped.source is not Source.PLAN


def test_a_lowering_takes_the_ramp_and_everything_else_no_time() -> None:
    ordered = replace(plan(), groups=(RAMPED,))
    begin = NOON + 5 * HOUR_US

    def levels(hour: int) -> list[float]:
        at = [begin + hour * HOUR_US + k * 10 * US_PER_S for k in range(7)]
        return [level_at(ordered, RAMPED, t, clock_sure=True).level_pct for t in at]

    assert levels(4) == [100.0, 95.8, 91.7, 87.5, 83.3, 79.2, 75.0]
    assert levels(0) == levels(11) == [100.0] * 7
    assert levels(14) == [0.0] * 7
    assert next_change_us(ordered, begin + 4 * HOUR_US + 1) == begin + 4 * HOUR_US + 10 * US_PER_S


@pytest.mark.parametrize("ramp_s", [-1.0, 301.0])
def test_a_ramp_of_another_length_is_refused(ramp_s: float) -> None:
    group = replace(RAMPED, ramp_s=ramp_s)
    with pytest.raises(DocumentError, match="ramp_s must be"):
        decode_plan(encode_plan(replace(plan(), groups=(group,))))
