"""The proof on real processes: its schedule is repeatable, and its witness sees what is wrong."""

from collections import Counter

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.delivery_proof.schedule import DiskFull, Kill, NetworkFault, schedule
from benchmarks.delivery_simulation import run as simulation
from benchmarks.delivery_simulation.run import Result
from benchmarks.evaluations import delivery
from benchmarks.harness import MeasurementError
from cli.evaluate import evaluate

pytestmark = pytest.mark.checkout


@given(kills=st.integers(1, 300), seed=st.integers())
def test_the_same_seed_gives_the_same_blows_and_exactly_the_kills_asked_for(
    kills: int, seed: int
) -> None:
    blows = schedule(kills, seed, edges=3, workers=2, proxies=7)
    assert blows == schedule(kills, seed, edges=3, workers=2, proxies=7)
    assert sum(isinstance(blow, Kill) for blow in blows) == kills
    assert [blow.at_s for blow in blows] == sorted(blow.at_s for blow in blows)


def test_another_seed_gives_other_blows() -> None:
    one, other = (schedule(20, seed, edges=3, workers=2, proxies=7) for seed in (1, 2))
    assert one != other


def test_every_party_link_and_fault_has_its_turn_within_sixty_kills() -> None:
    blows = schedule(60, 1, edges=3, workers=2, proxies=7)
    killed = Counter((b.party, b.index) for b in blows if isinstance(b, Kill))
    assert len(killed) == 3 + 2 + 1 + 1
    assert {b.proxy for b in blows if isinstance(b, NetworkFault)} == set(range(7))
    assert len({b.fault for b in blows if isinstance(b, NetworkFault)}) == 5
    assert any(isinstance(b, DiskFull) for b in blows)


def test_sixty_kills_leave_time_for_the_rest_within_three_minutes() -> None:
    assert all(schedule(60, s, edges=3, workers=2, proxies=7)[-1].at_s < 130 for s in range(50))


def test_the_simulation_gives_figures() -> None:
    figures = delivery.measure(kills=60, seed=1, edition="auto", simulate=20)
    assert (figures["schedules"], figures["violations"]) == (20, 0)
    assert figures["simulated_rows"] > 0


def test_a_broken_promise_is_no_figure_and_says_how_to_see_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = Result(7, 100, 0, 0, 0, 2, first_failing=42, first_violation="row lost")
    monkeypatch.setattr(simulation, "simulate", lambda schedules, seed: broken)
    with pytest.raises(MeasurementError, match=r"row lost.*--seed 7 --schedule 42"):
        delivery.measure(kills=60, seed=7, edition="auto", simulate=100)


@pytest.mark.parametrize(
    "wrong", [{"kills": 0}, {"edition": "oracle"}, {"simulate": 0}], ids=lambda wrong: str(wrong)
)
def test_a_wrong_option_is_one_line(wrong: dict[str, object]) -> None:
    given: dict[str, object] = {"kills": 4, "seed": 1, "edition": "auto", "simulate": None}
    with pytest.raises(MeasurementError, match=next(iter(wrong))):
        delivery.measure(**(given | wrong))


def test_a_simulation_is_held_to_no_bar_of_the_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(evaluate, ["delivery", "--simulate", "5", "--assert"])
    assert result.exit_code == 0, result.output
    assert "not measured" not in result.output

    monkeypatch.setattr(delivery, "measure", lambda **_: {"rows": 5.0})
    result = CliRunner().invoke(evaluate, ["delivery", "--simulate", "5", "--assert"])
    assert (result.exit_code, "rows is 5" in result.output) == (1, True)
    result = CliRunner().invoke(evaluate, ["delivery", "--assert"])
    assert "lost was not measured" in result.output
