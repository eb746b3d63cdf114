"""Openings of a queue's log: every served visitor in the hours is asked about exactly once."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.waiting_log.hours import DAY_S, Hours, told, weekday_of
from benchmarks.waiting_log.read import QueueLog
from benchmarks.waiting_log.replay import Opening, Replay, openings, outside
from cloud.waiting.model import Situation
from cloud.waiting.site import Vector

ZONES = ("Europe/Paris", "America/New_York", "Pacific/Noumea")
NIGHTS = (datetime(2025, 3, 28), datetime(2025, 10, 24), datetime(2025, 3, 7))  # noqa: DTZ001
"""Five days from here on hold a night of the clock change somewhere."""

OPEN = (
    "00:00-24:00",
    "22:00-06:00",
    "07:00-24:00",
    "00:00-01:00,06:00-24:00",
    "09:00-12:00,14:00-18:00",
    "00:45-01:30,04:00-12:00,20:00-00:30",
)


def log_of(zone: str, night: datetime, minutes: list[int]) -> QueueLog:
    """Arrivals so many minutes after the local midnight of the first day; each waits for 9 min."""
    begin_s = night.replace(tzinfo=ZoneInfo(zone)).timestamp()
    arrival_s = begin_s + 60.0 * np.array(sorted(minutes), dtype=np.float64)
    shown = [datetime.fromtimestamp(at_s, ZoneInfo(zone)) for at_s in arrival_s.tolist()]
    offset_s = [(one.utcoffset() or timedelta()).total_seconds() for one in shown]
    served = np.arange(arrival_s.size) % 5 != 4
    start_s = np.where(served, arrival_s + 540.0, np.nan)
    return QueueLog(arrival_s, start_s, start_s + 600.0, np.array(offset_s, dtype=np.int64))


def in_hours(log: QueueLog, hours: Hours) -> np.ndarray:
    """Whether the clock on the wall shows a time within the hours at each arrival."""
    local_s = log.arrival_s + log.offset_s
    held = np.zeros(local_s.size, dtype=bool)
    for back in (0, 1):
        day = local_s // DAY_S - back
        for index, weekday in enumerate(weekday_of(day).astype(int).tolist()):
            second = local_s[index] - day[index] * DAY_S
            held[index] |= any(a <= second < b for a, b in hours.week[weekday])
    return held


def asked_s(log: QueueLog, found: list[Opening]) -> Vector:
    replay = Replay(log, 60.0)
    cases = [(one, replay.case(one, Situation.A).case) for one in found]
    return np.concatenate([[], *(case.asked_s + one.counts_from_s for one, case in cases)])


@example(zone=ZONES[0], night=NIGHTS[1], minutes=[0, 4741], text="07:00-24:00", cut_h=0)
@given(
    zone=st.sampled_from(ZONES),
    night=st.sampled_from(NIGHTS),
    minutes=st.lists(st.integers(0, 5 * 1440 - 1), min_size=1, max_size=60, unique=True),
    text=st.sampled_from(OPEN),
    cut_h=st.integers(0, 23),
)
def test_every_served_visitor_in_the_hours_is_asked_about_once(
    zone: str, night: datetime, minutes: list[int], text: str, cut_h: int
) -> None:
    log, hours = log_of(zone, night, minutes), told(text)
    found = openings(log, hours, cut_h * 3600.0)
    expected = log.served & in_hours(log, hours)
    np.testing.assert_allclose(asked_s(log, found), log.arrival_s[expected], atol=1e-3)
    assert outside(log, found) == int(log.served.sum() - expected.sum())


@given(
    night=st.sampled_from(NIGHTS),
    text=st.sampled_from(OPEN),
    cut_h=st.integers(0, 23),
)
def test_openings_follow_each_other_and_show_the_local_time(
    night: datetime, text: str, cut_h: int
) -> None:
    log = log_of("Europe/Paris", night, list(range(0, 5 * 1440, 30)))
    found = openings(log, told(text), cut_h * 3600.0)
    for before, after in pairwise(found):
        assert before.until_s <= after.from_s
        assert after.goes_on == before.is_cut == (before.until_s == after.from_s)
        assert before.day <= after.day
    for one in found:
        begin = datetime.fromtimestamp(one.from_s, UTC).astimezone(ZoneInfo("Europe/Paris"))
        shown_s = (one.second + one.from_s - one.counts_from_s) % DAY_S
        assert shown_s == begin.hour * 3600 + begin.minute * 60


@pytest.mark.parametrize("night", NIGHTS[:2])
def test_a_queue_round_the_clock_is_cut_at_the_quietest_time_and_goes_on(night: datetime) -> None:
    log = log_of("Europe/Paris", night, list(range(0, 5 * 1440, 7)))
    first, *others = openings(log, told("00:00-24:00"), 5 * 3600.0)
    assert (first.goes_on, first.is_cut) == (False, True)
    assert all(one.goes_on and one.from_s - one.counts_from_s == 4 * 3600 for one in others)
    local = [datetime.fromtimestamp(one.from_s, ZoneInfo("Europe/Paris")).hour for one in others]
    assert set(local) == {5}


def test_an_opening_over_midnight_begins_empty_and_is_of_its_first_day() -> None:
    log = log_of("Europe/Paris", NIGHTS[0], [60, 22 * 60 + 5, 25 * 60, 46 * 60 + 5])
    found = openings(log, told("22:00-06:00"))
    assert [one.goes_on for one in found] == [False] * 3
    first = int(log.local_day[0])
    assert [one.day for one in found] == [first, first, first + 1]


def test_who_comes_in_an_opening_is_learned_from_alone() -> None:
    log = log_of("Europe/Paris", NIGHTS[0], list(range(0, 3 * 1440, 7)))
    cases = [Replay(log, 60.0).case(one, Situation.A) for one in openings(log, told("00:00-24:00"))]
    for one in cases:
        rows = one.whole.rows.values()
        tail, entry, left = (int(row.sum()) for row in rows if row is not None)
        assert entry == left == one.wait_s.size
        assert tail >= entry


@given(
    text=st.sampled_from(("00:00-24:00", "22:00-06:00", "09:00-12:00,14:00-18:00")),
    cut_min=st.integers(0, 3 * 1440),
    other=st.integers(1, 60),
)
def test_counters_before_an_instant_do_not_know_what_the_log_says_later(
    text: str, cut_min: int, other: int
) -> None:
    log = log_of("Europe/Paris", NIGHTS[0], list(range(0, 3 * 1440, 11)))
    instant_s = float(log.arrival_s[0]) + 60.0 * cut_min
    changed = QueueLog(
        log.arrival_s,
        np.where(log.start_s >= instant_s, log.start_s + 60.0 * other, log.start_s),
        np.where(log.end_s >= instant_s, log.end_s + 60.0 * other, log.end_s),
        log.offset_s,
    )
    found = openings(log, told(text))
    assert found == openings(changed, told(text))
    for one in found:
        before, after = (Replay(each, 60.0).case(one, Situation.A).case for each in (log, changed))
        known_s = instant_s - one.counts_from_s
        for detector, at_s in before.pulses.items():
            later_s = after.pulses[detector]
            np.testing.assert_array_equal(at_s[at_s < known_s], later_s[later_s < known_s])
        steps = max(int(known_s // 60.0), 0)
        for row, other_row in zip(
            before.counts.rows.values(), after.counts.rows.values(), strict=True
        ):
            assert row is not None
            assert other_row is not None
            both = min(steps, row.size, other_row.size)  # a later last departure is a longer row
            np.testing.assert_array_equal(row[:both], other_row[:both])
            assert not row[both:steps].any()
            assert not other_row[both:steps].any()
