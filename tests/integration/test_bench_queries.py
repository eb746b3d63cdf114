"""The measurement of queries, small: answers are checked against the counters, not its times."""

from datetime import UTC, datetime

import pytest

from benchmarks.bars import bars_of
from benchmarks.bench import queries
from benchmarks.harness import MeasurementError
from benchmarks.query_load import Load

pytestmark = [pytest.mark.database, pytest.mark.checkout]


def test_every_figure_with_a_bar_is_measured_on_right_answers(migrated_database_url: str) -> None:
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    figures = queries.measured(migrated_database_url, Load(100, 4, end), seconds=1)
    assert set(bars_of("bench", "queries")) <= set(figures)
    assert figures["rows"] == 100 * 4 * 24
    assert 10 < figures["bytes_per_row"] < 1_000
    assert all(value > 0 for value in figures.values())


def test_a_wrong_answer_has_no_figure(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*asked: object, **how: object) -> list[object]:
        return []

    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    monkeypatch.setattr("cloud.energy.store.days", nothing)
    with pytest.raises(MeasurementError, match="not what the counters counted"):
        queries.measured(migrated_database_url, Load(50, 4, end), seconds=1)
