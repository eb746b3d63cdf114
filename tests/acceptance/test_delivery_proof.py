"""Nothing lost, nothing doubled, on real processes: the short form of `eclor eval delivery`."""

import os

import pytest

from benchmarks.delivery_proof.run import prove

pytestmark = [pytest.mark.checkout, pytest.mark.database, pytest.mark.broker]

SEED = 3


@pytest.mark.timeout(180)
def test_a_few_kills_lose_and_double_nothing() -> None:
    figures = prove(
        kills=4,
        seed=SEED,
        edition=os.environ.get("ECLOR_TEST_EDITION", "timescale"),
        trace_rows=3_000,
        say=lambda text: None,
        timed=False,
    )
    assert (figures["lost"], figures["doubled"]) == (0, 0)
    assert figures["kills"] == 4
    assert figures["rows"] >= 5_000
