"""`eclor bench waiting` on a few centres: every one has its estimate, and what it costs is told."""

import pytest

from benchmarks import waiting_load
from benchmarks.bars import bars_of
from benchmarks.bench import waiting
from benchmarks.harness import MeasurementError
from benchmarks.waiting_load import Load
from cloud.waiting import evidence

pytestmark = [pytest.mark.database, pytest.mark.checkout]


@pytest.fixture(scope="module")
def load() -> Load:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "TRIAL_STEPS", 300)
        patch.setattr(waiting_load, "TAUGHT", 4)
        return waiting_load.loaded(3)


async def test_every_centre_is_estimated_twice_a_minute(
    migrated_database_url: str, load: Load
) -> None:
    figures = await waiting._measured(migrated_database_url, load)
    assert set(bars_of("bench", "waiting")) <= set(figures)
    assert figures["facilities"] == 3
    assert 0 < figures["core_pct"] < 100
    assert 0 < figures["database_pct"] < 100
    assert figures["longest_run_s"] > 0


async def test_centres_that_are_closed_have_no_figure(
    migrated_database_url: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting_load, "BEGINS", waiting_load.BEGINS.replace(hour=9))
    with pytest.raises(MeasurementError, match="not every centre"):
        await waiting._measured(migrated_database_url, load)
