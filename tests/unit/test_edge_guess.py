"""A profile is guessed from values that could hardly be there by chance."""

import pytest

from edge.workbench.guess import Certainty, judged
from protocols.profile import builtin
from protocols.registers import Value

METER: dict[str, Value] = {
    "voltage_l1": 230.4,
    "voltage_l2": 0,
    "power": 2_300.0,
    "frequency": 50.01,
    "energy_import": 53_741_200,
}


def test_a_mains_voltage_and_frequency_make_a_meter_likely() -> None:
    guess = judged(builtin("eastron-sdm630"), METER)
    assert guess is not None
    assert guess.certainty is Certainty.LIKELY
    assert "voltage_l1 230.4 V" in guess.says


@pytest.mark.parametrize(
    "wrong",
    [
        {"voltage_l1": 1e-40},  # an integer read as a float
        {"voltage_l1": 42_000_000.0},  # words in the wrong order
        {"frequency": 500.0},  # the wrong scale
        {"energy_import": 1_130_764_698},  # a float read as an integer
    ],
)
def test_one_impossible_value_rules_a_profile_out(wrong: dict[str, Value]) -> None:
    assert judged(builtin("eastron-sdm630"), METER | wrong) is None


def test_zeros_and_missing_values_are_no_evidence() -> None:
    guess = judged(builtin("eastron-sdm630"), dict.fromkeys(METER, 0) | {"power": None})
    assert guess is not None
    assert (guess.certainty, guess.evidence) == (Certainty.POSSIBLE, 0)
