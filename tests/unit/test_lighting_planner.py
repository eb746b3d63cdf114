"""Council rules, conflict areas, raises and explanations of a plan."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.lighting.demand import DecidedBy, Decision, Demands, LiveRaise
from cloud.lighting.explain import LANGUAGES, sentence
from cloud.lighting.model import MAX_CHANGES, Group, Place, nights, validity
from cloud.lighting.norm import load
from cloud.lighting.overlaid import overlaid
from cloud.lighting.planner import Planned, Wanted, plan_groups
from cloud.lighting.rules import Rule, RuleKind, without
from cloud.lighting.segment import parse, requirements
from cloud.lighting.store import described
from cloud.lighting.traffic import HOUR_US, BoundSource, HourCount, bounds
from protocols.ids import DeviceId, GroupId
from protocols.plan import GroupPlan, Override, override_at
from protocols.time import TimeUs, from_datetime
from tests.lighting_cases import ROAD, SEGMENT

PARIS = ZoneInfo("Europe/Paris")
HERE = Place(49.52, 5.77, PARIS)
NOON = from_datetime(datetime(2026, 11, 16, 11, tzinfo=UTC))
VALID = validity(NOON, PARIS)
MIDNIGHT = NOON + 12 * HOUR_US
NORM = load("cen-2014")


def group(name: str = "rue-haute", **changes: object) -> Group:
    plain = Group(
        group=GroupId(name),
        devices=(DeviceId(f"{name}-0"), DeviceId(f"{name}-1")),
        switch_elevation_deg=-0.833,
        normal_level_pct=100.0,
        factors=(1.0, 0.75, 0.5),
        capacity_per_h=600.0,
        baseline_w=300.0,
    )
    return replace(described(plain, parse(SEGMENT), on=date(2026, 11, 16)), **changes)  # type: ignore[arg-type]


def demands(of: Group, per_h: int, **more: object) -> Demands:
    counts = [HourCount(TimeUs(NOON - (i + 1) * HOUR_US), per_h) for i in range(3 * 168)]
    known = bounds(counts, zone=PARIS, cut_us=NOON, now_us=NOON)
    return Demands(of, known, **more)  # type: ignore[arg-type]


def rule(kind: RuleKind, **changes: object) -> Rule:
    plain = Rule(
        rule_id=1,
        kind=kind,
        start=time(23, 30),
        end=time(5),
        weekdays=frozenset(range(7)),
        first_day=date(2026, 1, 1),
        last_day=None,
        decided_by="Conseil municipal",
        decided_on=date(2025, 12, 15),
        reference="AM 2025-118",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def planned(of: Group, per_h: int, rules: Sequence[Rule] = (), **more: object) -> Planned:
    (found,) = plan_groups([Wanted(demands(of, per_h, **more), rules)], HERE, VALID, NORM)
    return found


def level(part: GroupPlan, t_us: int) -> float:
    return [slot.level_pct for slot in part.slots if slot.t_us <= t_us][-1]


def test_a_described_road_says_its_class_and_the_weights_behind_it() -> None:
    quiet = planned(group(), 10)
    run = next(w for w in quiet.why if w.from_us <= MIDNIGHT < w.until_us)
    assert (run.level_pct, run.lighting_class, run.rule) == (50.0, "M5", "class")
    assert run.terms["volume"] == -1
    assert run.source in ("hour_of_week", "day_type")
    assert run.bound_per_h is not None
    assert run.baseline_w == 300.0
    assert run.expected_w == pytest.approx(2 * (4.2 + 55.8 * 0.5))


def test_the_explanation_covers_every_instant_of_the_plan_once() -> None:
    quiet = planned(group(), 10, [rule(RuleKind.EXTINCTION)])
    assert quiet.why[0].from_us == VALID.from_us
    assert quiet.why[-1].until_us == VALID.until_us
    assert all(a.until_us == b.from_us for a, b in zip(quiet.why, quiet.why[1:], strict=False))
    for run in quiet.why:
        assert level(quiet.part, run.from_us) == level(quiet.part, run.until_us - 1)
        assert level(quiet.part, run.from_us) == run.level_pct


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_run_has_a_sentence_in_every_language(language: str) -> None:
    ruled = planned(group(), 10, [rule(RuleKind.EXTINCTION)])
    event = planned(group(), 10, [rule(RuleKind.EVENT, reference="Braderie")])
    texts = {sentence(run, language, PARIS) for run in (*ruled.why, *event.why)}
    assert any("AM 2025-118" in text for text in texts)
    assert any("Braderie" in text for text in texts)
    assert any("M5" in text for text in texts)
    assert all(text.endswith(".") and "{" not in text for text in texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_source_has_words_in_every_language(language: str) -> None:
    run = next(run for run in planned(group(), 10).why if run.rule == "class")
    unknown = sentence(replace(run, source="quidam"), language, PARIS)
    for source in (*BoundSource, *DecidedBy):
        text = sentence(replace(run, source=source), language, PARIS)
        assert text != unknown.replace("quidam", source)


QUIET = planned(group(), 10)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-30, 200), st.integers(1, 100), st.integers(0, 3)), max_size=4)
)
def test_orders_laid_over_a_plan_are_explained_as_the_gateway_executes_them(
    given_orders: list[tuple[int, int, int]],
) -> None:
    orders = tuple(
        Override(
            str(number),
            TimeUs(VALID.from_us + begin * HOUR_US),
            TimeUs(VALID.from_us + (begin + length) * HOUR_US),
            30.0,
            priority,
            f"order {number}",
        )
        for number, (begin, length, priority) in enumerate(given_orders)
    )
    told = overlaid(QUIET.why, orders, group())
    part = replace(QUIET.part, overrides=orders)
    assert (told[0].from_us, told[-1].until_us) == (VALID.from_us, VALID.until_us)
    assert all(one.until_us == after.from_us for one, after in pairwise(told))
    for run in told:
        order = override_at(part, run.from_us)
        assert (run.rule == "override") == (order is not None)
        assert order is None or (run.reference, run.level_pct) == (order.reason, 30.0)


def test_extinction_is_off_to_the_second_and_the_rest_of_the_night_is_lit() -> None:
    found = planned(group(), 500, [rule(RuleKind.EXTINCTION)])
    begin = from_datetime(datetime(2026, 11, 16, 23, 30, tzinfo=PARIS))
    end = from_datetime(datetime(2026, 11, 17, 5, 0, tzinfo=PARIS))
    assert (level(found.part, begin - 1), level(found.part, begin)) == (100.0, 0.0)
    assert (level(found.part, end - 1), level(found.part, end)) == (0.0, 100.0)
    run = next(w for w in found.why if w.from_us == begin)
    assert (run.rule, run.reference) == ("extinction", "AM 2025-118")


@pytest.mark.parametrize("kind", [RuleKind.EXCEPTION, RuleKind.EVENT])
def test_an_exception_or_an_event_lifts_the_extinction_for_its_time(kind: RuleKind) -> None:
    that_night = {"first_day": date(2026, 11, 16), "last_day": date(2026, 11, 16)}
    lifted = rule(kind, start=time(23), end=time(2), reference="Marché de Noël", **that_night)
    found = planned(group(), 10, [rule(RuleKind.EXTINCTION), lifted])
    one, three = (datetime(2026, 11, 17, hour, tzinfo=PARIS) for hour in (1, 3))
    expected = 50.0 if kind is RuleKind.EXCEPTION else 100.0
    assert level(found.part, from_datetime(one)) == expected
    assert level(found.part, from_datetime(three)) == 0.0
    next_night = from_datetime(one + timedelta(days=1))
    assert level(found.part, next_night) == 0.0


def test_extinction_follows_the_civil_clock_on_the_night_it_changes() -> None:
    spans = list(
        rule(RuleKind.EXTINCTION).spans(
            from_datetime(datetime(2026, 10, 24, 10, tzinfo=UTC)),
            from_datetime(datetime(2026, 10, 25, 10, tzinfo=UTC)),
            PARIS,
        )
    )
    assert [(end - begin) / HOUR_US for begin, end in spans] == [6.5]


def test_a_conflict_area_is_never_below_the_equivalent_of_its_road() -> None:
    settings_ = {
        **SEGMENT,
        "family": "C",
        "parameters": {k: v for k, v in ROAD.items() if k != "junctions"}
        | {"guidance": "difficult"},
        "designed_class": "C3",
        "conflict_of": "rue-haute",
    }
    plain = replace(group("carrefour"), classes=None)
    area = described(plain, parse(settings_), on=date(2026, 11, 16))
    assert [r.selected.name for r in requirements(parse(settings_), on=date(2026, 11, 16))] == [
        "C2",
        "C3",
        "C4",
    ]
    road = Wanted(demands(group(), 150))
    crossing = Wanted(demands(area, 10))
    on_road, on_area = plan_groups([road, crossing], HERE, VALID, NORM)
    for run in on_area.why:
        if run.lighting_class is not None:
            beside = [
                w.lighting_class
                for w in on_road.why
                if w.from_us < run.until_us and w.until_us > run.from_us and w.lighting_class
            ]
            least = max((NORM.light[NORM.conflict[name]] for name in beside), default=0.0)
            assert NORM.light[run.lighting_class] >= least
    alone = plan_groups([crossing], HERE, VALID, NORM)[0]
    assert {w.lighting_class for w in alone.why} == {None, "C2"}


def test_a_live_count_raises_at_once_and_only_raises() -> None:
    up = LiveRaise(TimeUs(MIDNIGHT), TimeUs(MIDNIGHT + HOUR_US), 0, 400.0)
    down = LiveRaise(TimeUs(MIDNIGHT + 2 * HOUR_US), TimeUs(MIDNIGHT + 3 * HOUR_US), 2, 4.0)
    raised = planned(group(), 10, raises=[up])
    assert level(raised.part, MIDNIGHT) == 100.0
    assert level(raised.part, MIDNIGHT - 1) == 50.0
    run = next(w for w in raised.why if w.from_us == MIDNIGHT)
    assert (run.source, run.bound_per_h) == (DecidedBy.LIVE, 400.0)
    busy = planned(group(), 500, raises=[down])
    assert level(busy.part, MIDNIGHT + 2 * HOUR_US + 1) == 100.0


def test_the_model_s_decision_takes_the_place_of_the_bound() -> None:
    hour = TimeUs(MIDNIGHT)
    decided = {hour: Decision(hour, 0, DecidedBy.NIGHT_AHEAD)}
    found = planned(group(), 10, decided=decided)
    run = next(w for w in found.why if w.from_us == hour)
    assert (run.level_pct, run.source) == (100.0, DecidedBy.NIGHT_AHEAD)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=200, max_size=200),
    st.sampled_from([(), (rule(RuleKind.EXTINCTION),)]),
)
def test_no_lit_slot_is_below_its_class_and_no_night_is_restless(
    lowers: list[int], rules: tuple[Rule, ...]
) -> None:
    hours = [TimeUs(NOON + i * HOUR_US) for i in range(len(lowers))]
    decided = {t: Decision(t, k, DecidedBy.HOUR_AHEAD) for t, k in zip(hours, lowers, strict=True)}
    found = planned(group(), 10, rules, decided=decided)
    for run in found.why:
        if run.level_pct:
            for t_us in range(run.from_us - run.from_us % HOUR_US, run.until_us, HOUR_US):
                if t_us in decided:
                    assert run.lower <= decided[TimeUs(t_us)].lower
    for begin, end in nights(VALID.from_us, VALID.until_us, PARIS):
        changes = sum(begin < slot.t_us < end for slot in found.part.slots)
        assert changes <= MAX_CHANGES


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=5))
def test_what_is_left_of_a_span_is_exactly_what_no_cut_covers(cuts: list[tuple[int, int]]) -> None:
    left = without((10, 40), cuts)
    inside = {t for begin, end in left for t in range(begin, end)}
    assert inside == {t for t in range(10, 40) if not any(b <= t < e for b, e in cuts)}
