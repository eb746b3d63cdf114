"""What the measurement of the field bus counts, on instants and frames made by hand."""

import pytest

from benchmarks.bench import modbus
from benchmarks.modbus_load import line
from edge.bus import rtu

pytestmark = pytest.mark.checkout


def test_errors_are_told_from_the_units_own_phase_wherever_it_lies() -> None:
    for phase_s in (0.001, 0.5, 0.999):
        times = [turn + phase_s for turn in range(50)]
        assert max(map(abs, modbus._errors(times))) < 1e-9
        late = [*times, 50 + phase_s + 0.2]
        assert modbus._errors(late)[-1] == pytest.approx(0.2, abs=0.01)


def test_a_unit_that_misses_turns_is_not_on_time() -> None:
    asked = {unit: [turn + unit / 200 for turn in range(60)] for unit in range(1, 101)}
    run = modbus._Run(asked, (), 0, 0, 0, 0, 0)
    assert run.on_time_pct() == 100
    for unit in range(1, 11):
        asked[unit] = asked[unit][:30]
    assert run.on_time_pct() == pytest.approx(95.0, abs=0.1)
    asked[50] = [turn + 0.25 + 0.3 * (turn % 2) for turn in range(60)]
    assert run.on_time_pct() < 94.5


def test_the_line_and_the_agent_agree_on_frames_and_times() -> None:
    body = bytes.fromhex("05 04 0000 0014")
    assert line.crc(body) == rtu.crc(body)
    for baud in (9_600, 19_200, 115_200):
        assert line.silence_s(baud) == pytest.approx(rtu.silence_s(baud))
