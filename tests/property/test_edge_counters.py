"""Whatever a counter does, its total grows by what happened and never shrinks."""

from hypothesis import given
from hypothesis import strategies as st

from edge.counters import CounterRule, CounterTracker
from protocols.time import US_PER_S

RULE = CounterRule(max_rate=10.0, modulus=2**16)
STEPS = st.lists(st.integers(min_value=0, max_value=10), min_size=1, max_size=200)


@given(start=st.integers(0, 2**16 - 1), steps=STEPS)
def test_wraps_lose_and_add_nothing(start: int, steps: list[int]) -> None:
    tracker, truth = CounterTracker(RULE), start
    tracker.add(truth, 0)
    second = 0
    for second, step in enumerate(steps, start=1):
        truth += step
        tracker.add(truth % 2**16, second * US_PER_S)
    settling = second
    while tracker.suspicious:  # a wrap at the very end, which more counts settle
        settling += 1
        truth += 1
        tracker.add(truth % 2**16, settling * US_PER_S)
    assert tracker.total == truth
    assert settling - second <= 3


@given(
    steps=STEPS,
    glitches=st.dictionaries(st.integers(0, 199), st.sampled_from([0, 1, 40_000, 65_535])),
)
def test_single_false_values_change_nothing(steps: list[int], glitches: dict[int, int]) -> None:
    tracker, truth, last_false = CounterTracker(RULE), 20_000, -2
    tracker.add(truth, 0)
    for second, step in enumerate(steps, start=1):
        truth += step
        false = glitches.get(second) if second > last_false + 1 else None
        last_false = second if false is not None else last_false
        tracker.add(truth if false is None else false, second * US_PER_S)
    tracker.add(truth, (len(steps) + 1) * US_PER_S)
    assert tracker.total == truth


@given(raws=st.lists(st.integers(0, 2**16 - 1), max_size=60))
def test_the_total_never_shrinks_whatever_is_read(raws: list[int]) -> None:
    tracker, before = CounterTracker(RULE), None
    for second, raw in enumerate(raws):
        tracker.add(raw, second * US_PER_S)
        assert tracker.total is not None
        assert before is None or tracker.total >= before
        before = tracker.total


@given(raws=st.lists(st.integers(0, 2**16 - 1), max_size=60), cut=st.integers(0, 60))
def test_a_restart_at_any_sample_makes_no_difference(raws: list[int], cut: int) -> None:
    through, first = CounterTracker(RULE), CounterTracker(RULE)
    for second, raw in enumerate(raws):
        through.add(raw, second * US_PER_S)
        if second == cut:
            first = CounterTracker(RULE, first.state())
        first.add(raw, second * US_PER_S)
    assert first.state() == through.state()
