"""The rollup tables that migrations make are those that the program derives from its vocabulary."""

import psycopg
import pytest

from cloud.rollups.tables import ROLLUPS, Form
from protocols.quantities import Kind
from tests.integration.test_migrate import columns


@pytest.mark.parametrize("kind", ROLLUPS)
def test_rollup_tables_have_the_columns_and_types_that_follow_from_the_kind(
    migrated_database_url: str, kind: Kind
) -> None:
    table = ROLLUPS[kind]
    with psycopg.connect(migrated_database_url) as conn:
        for name, wanted in ((table.hour, table.hour_columns), (table.day, table.day_columns)):
            assert [(column, sql) for column, sql, _ in columns(conn, name)] == list(wanted)


def test_counters_are_differenced_and_counts_are_summed() -> None:
    passage = ROLLUPS[Kind.PASSAGE]
    assert [c.name for c in passage.of(Form.DIFFERENCE)] == ["forward_total", "backward_total"]
    assert [c.name for c in passage.of(Form.SUM)] == ["forward_count", "backward_count"]
    assert [c.name for c in ROLLUPS[Kind.LIGHT].of(Form.DIFFERENCE)] == ["energy_wh"]
    assert ROLLUPS[Kind.SAMPLE].key == "series_id"
