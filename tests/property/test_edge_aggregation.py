"""Whatever the samples, a counter's rows add up to what it counted, each at its own instant."""

import dataclasses
import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.aggregation import Aggregator
from edge.config_devices import DeviceSettings
from edge.sampling import Sample
from protocols.batch import Reading
from protocols.ids import DeviceId
from protocols.profile import builtin
from protocols.time import US_PER_S, TimeUs

T0 = 1_767_225_600 * US_PER_S
GATES = [
    DeviceSettings(DeviceId(f"gate-{n}"), "b", 1, builtin("eclor-gate"), n, 10.0, 60)
    for n in range(3)
]
LAMPS = [
    DeviceSettings(DeviceId(f"lamp-{n}"), "b", 2, builtin("eclor-luminaire"), n, 10.0, 60)
    for n in range(3)
]

# One poll cycle: seconds since the last, passages meanwhile, whether it is answered, and what else
# happens before it: nothing, a clean restart, or the clock set back by some seconds.
CYCLES = st.lists(
    st.tuples(
        st.integers(1, 150),
        st.integers(0, 9),
        st.booleans(),
        st.one_of(st.none(), st.just("restart"), st.integers(1, 400)),
    ),
    min_size=1,
    max_size=60,
)


def total_of(rows: list[Reading], column: str) -> int:
    return sum(value for row in rows if isinstance(value := row.physical(column), int))


@given(cycles=CYCLES, wrap_at=st.integers(0, 300), silence_s=st.sampled_from([0, 300, 900]))
def test_the_counts_add_up_over_gaps_restarts_wraps_and_clock_steps(
    cycles: list[tuple[int, int, bool, str | int | None]], wrap_at: int, silence_s: int
) -> None:
    gate = dataclasses.replace(GATES[0], max_silence_s=silence_s)
    now_us, truth = T0, 2**32 - wrap_at
    aggregator = Aggregator([gate], started_us=now_us)
    rows: list[Reading] = []

    def poll(*, answered: bool) -> None:
        values = {"forward_total": truth % 2**32} if answered else {}
        aggregator.add(Sample(gate.id, TimeUs(now_us), values, answered))

    poll(answered=True)
    first, settling = truth, 0
    for seconds, passages, answered, event in cycles:
        if event == "restart":
            rows += aggregator.close_all(now_us)
            state = json.loads(json.dumps(aggregator.state()))
            aggregator = Aggregator([gate], started_us=now_us, state=state)
        elif isinstance(event, int):
            now_us -= event * US_PER_S
        now_us += seconds * US_PER_S
        truth += passages
        rows += aggregator.close_due(now_us)
        poll(answered=answered)
    while settling < 4 or 2**32 <= truth < 2**32 + 4:  # a wrap at the very end needs evidence
        settling += 1
        now_us += 10 * US_PER_S
        truth += 1
        poll(answered=True)
    rows += aggregator.close_all(now_us)
    assert total_of(rows, "forward_count") == truth - first
    instants = [row.t_us for row in rows]
    assert len(instants) == len(set(instants))
    assert all(row.window_s >= 1 for row in rows)


@given(data=st.data())
def test_the_order_within_a_poll_cycle_does_not_matter(data: st.DataObject) -> None:
    cycles = data.draw(
        st.lists(
            st.lists(
                st.tuples(
                    st.integers(0, 1_000).map(lambda tenths: tenths / 10),
                    st.floats(0, 300, allow_nan=False),
                    st.integers(0, 7),
                ),
                min_size=3,
                max_size=3,
            ),
            min_size=1,
            max_size=20,
        )
    )
    straight, shuffled = (Aggregator(LAMPS, started_us=T0) for _ in range(2))
    rows: tuple[list[Reading], list[Reading]] = ([], [])
    for turn, cycle in enumerate(cycles):
        now_us = T0 + (5 + 10 * turn) * US_PER_S
        samples = [
            Sample(
                device.id,
                TimeUs(now_us),
                {"level": level, "power": power, "energy": 100 + turn, "status": status},
                ok=True,
            )
            for device, (level, power, status) in zip(LAMPS, cycle, strict=True)
        ]
        orders = (samples, data.draw(st.permutations(samples)))
        for aggregator, found, order in zip((straight, shuffled), rows, orders, strict=True):
            found += aggregator.close_due(now_us)
            for sample in order:
                aggregator.add(sample)
    end_us = T0 + 3_600 * US_PER_S
    assert rows[0] + straight.close_all(end_us) == rows[1] + shuffled.close_all(end_us)


@given(cuts=st.sets(st.integers(1, 39)))
def test_restarts_do_not_change_what_is_counted_where(cuts: set[int]) -> None:
    aggregator = Aggregator(GATES, started_us=T0)
    rows: list[Reading] = []
    for turn in range(40):
        now_us = T0 + (5 + 10 * turn) * US_PER_S
        if turn in cuts:
            rows += aggregator.close_all(now_us - US_PER_S)
            aggregator = Aggregator(GATES, started_us=now_us - US_PER_S, state=aggregator.state())
        rows += aggregator.close_due(now_us)
        for device in GATES:
            values = {"forward_total": turn * (device.index + 1)}
            aggregator.add(Sample(device.id, TimeUs(now_us), values, ok=True))
    rows += aggregator.close_all(T0 + 400 * US_PER_S)
    for device in GATES:
        own = [row for row in rows if row.device == device.id]
        assert total_of(own, "forward_count") == 39 * (device.index + 1)
        spans = sorted((row.t_us, row.t_us + row.window_s * US_PER_S) for row in own)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
