"""The world does not depend on how it is stepped, and its ledgers always balance."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_sim.events import EventTally, Span
from firmware_sim.territory import demo_territory
from firmware_sim.world import SiteWorld
from protocols.ids import GatewayId, gateway_id
from protocols.time import US_PER_S

START = 1_772_409_600 * US_PER_S  # Monday 2026-03-02 00:00 UTC
HOUR = 3600 * US_PER_S
END = START + 30 * HOUR
GATEWAYS = [gateway_id(name) for name in ("cab-centre-1", "dech-nord-1", "dech-sud-1")]

instants = st.lists(st.integers(START, END), max_size=12).map(sorted)
writes = st.tuples(st.integers(START, END), st.integers(0, 39), st.integers(0, 100))


def site(gateway: GatewayId, seed: int = 1) -> SiteWorld:
    territory = demo_territory(seed)
    return SiteWorld(territory.site_of(gateway), territory, START)


@settings(max_examples=25, deadline=None)
@given(steps=instants, gateway=st.sampled_from(GATEWAYS))
def test_one_step_or_many_lead_to_the_same_state(steps: Sequence[int], gateway: GatewayId) -> None:
    once, often = site(gateway), site(gateway)
    for t_us in steps:
        often.advance(t_us)
    once.advance(END)
    often.advance(END)
    for device in once.spec.gateway.device_names():
        assert once.quantities(device) == often.quantities(device)
    assert list(once.truth()) == list(often.truth())


@settings(max_examples=25, deadline=None)
@given(commands=st.lists(writes, max_size=20).map(sorted), looks=instants)
def test_looking_changes_nothing(
    commands: Sequence[tuple[int, int, int]], looks: Sequence[int]
) -> None:
    unseen, seen = site(GATEWAYS[0]), site(GATEWAYS[0])
    pending = list(looks)
    lamps = [f"lamp-{place:02d}" for place in range(40)]
    devices = {name: name for name in seen.spec.gateway.device_names()}
    for t_us, place, level in commands:
        while pending and pending[0] <= t_us:
            seen.advance(pending.pop(0))
            for device in devices:
                seen.quantities(device)
        for world in (unseen, seen):
            world.advance(t_us)
            world.write(next(d for d in devices if d == lamps[place]), "level_pct", level)
    for world in (unseen, seen):
        world.advance(END)
    assert list(unseen.truth()) == list(seen.truth())
    for device in devices:
        assert unseen.quantities(device) == seen.quantities(device)


@settings(max_examples=25, deadline=None)
@given(commands=st.lists(writes, max_size=30).map(sorted))
def test_feeder_energy_is_the_energy_of_lamps_and_own_use(
    commands: Sequence[tuple[int, int, int]],
) -> None:
    world = site(GATEWAYS[0])
    names = list(world.spec.gateway.device_names())
    feeder = names[0]
    lamps = [name for name in names if name.startswith("lamp")]

    def energies() -> tuple[float, float]:
        records = [r for r in world.truth() if r["what"] == "lamp"]
        own = sum(float(str(record["energy_wh"])) for record in records)
        total = world.quantities(feeder)["energy_import_wh"]
        assert isinstance(total, int)
        return total, own

    meter, own = energies()
    for t_us, place, level in commands:
        world.advance(t_us)
        world.write(lamps[place], "level_pct", level)
    world.advance(END)
    meter_end, own_end = energies()
    own_use_wh = 12 * 30
    assert meter_end - meter == pytest.approx(own_end - own + own_use_wh, abs=2)


@settings(max_examples=100, deadline=None)
@given(
    events=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 25)), max_size=60),
    looks=st.lists(st.integers(0, 99), max_size=10).map(sorted),
)
def test_a_tally_counts_every_event_once_whatever_span_drew_it(
    events: Sequence[tuple[int, int]], looks: Sequence[int]
) -> None:
    spans = [
        Span(10 * (n + 1), {"a": sorted(10 * n + late for span, late in events if span == n)})
        for n in range(11 - 1)
    ]
    tally = EventTally(iter(spans), initial={"a": 100})
    times = [10 * span + late for span, late in events]
    for t_us in looks:
        tally.advance(t_us)
        drawn = [t for (span, _), t in zip(events, times, strict=True) if 10 * span <= t_us]
        assert tally.total("a") == 100 + sum(t <= t_us for t in drawn)
