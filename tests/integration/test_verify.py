"""The daily ledger over HTTP, and `eclor verify` on it."""

import asyncio
import json
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.verify import verify
from cloud.ingest import samples
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Fault
from cloud.keys.model import Scope
from cloud.settings import Ingest
from cloud.storage.editions import DAY_US
from protocols.ids import DeviceId, Epoch
from protocols.time import TimeUs
from tests.integration.api_world import make_key, world
from tests.integration.deliveries import (
    GATEWAY,
    MINUTE_US,
    NOW_US,
    delivery,
    lamp_delivery,
    lamp_rows,
)
from tests.integration.test_provision_cli import served

pytestmark = pytest.mark.database

DAYS = f"/gateways/{GATEWAY}/ledger/days"


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    """The registry of api_world, whose first gateway sends."""

    async def fill() -> None:
        async with world(migrated_database_url):
            pass

    asyncio.run(fill())
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def run(migrated_database_url: str, conn: psycopg.Connection) -> Iterator["Verify"]:
    key = asyncio.run(make_key(migrated_database_url, Scope.READ))
    with served(migrated_database_url) as url:
        yield Verify({"ECLOR_API_URL": url, "ECLOR_API_KEY": key})


class Verify:
    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(verify, words, env=self._environment, catch_exceptions=False)


def test_a_gateway_whose_rows_all_have_a_place_balances(
    conn: psycopg.Connection, run: Verify
) -> None:
    accept(conn, [lamp_delivery(seq) for seq in (1, 2, 4)])
    result = run("--gateway", GATEWAY)
    assert result.exit_code == 0, result.output
    head, line = result.stdout.splitlines()
    shown = dict(zip(head.split(), line.split(), strict=True))
    assert shown == {
        "gateway": GATEWAY, "day": "2025-11-24", "batches": "3", "produced": "20",
        "stored": "15", "repeated": "0", "quarantined": "0", "pending": "5",
        "dropped": "0", "lost": "0",
    }  # fmt: skip
    assert result.stderr == "everything balances; 5 rows are still on their way\n"


def test_every_gateway_is_looked_at_where_none_is_named(
    conn: psycopg.Connection, run: Verify
) -> None:
    accounts = json.loads(run("--json").stdout)
    assert [account["gateway"] for account in accounts] == [
        "cab-centre-1", "cab-gare-1", "gate-1",
    ]  # fmt: skip
    assert all(account["balanced"] for account in accounts)


def test_rows_that_left_the_tables_are_found_out(conn: psycopg.Connection, run: Verify) -> None:
    accept(conn, [lamp_delivery(1)])
    conn.execute("delete from light_reading where t = (select max(t) from light_reading)")
    result = run("--gateway", GATEWAY)
    assert result.exit_code == 1
    assert "the reading tables hold 4 rows, the ledger says 5" in result.stderr
    assert "1 of 1 gateways do not balance" in result.stderr


def write_lines(conn: psycopg.Connection, *times_us: int) -> None:
    row = conn.execute("select gateway_id from gateway where name = %s", (GATEWAY,)).fetchone()
    assert row is not None
    rows = [(DeviceId("roof"), "t_c", TimeUs(t_us), 21_500_000) for t_us in times_us]
    assert not isinstance(samples.write(conn, (row[0], GATEWAY), rows, Ingest()), Fault)


def test_samples_that_came_without_a_batch_are_in_the_account(
    conn: psycopg.Connection, run: Verify
) -> None:
    accept(conn, [lamp_delivery(1)])
    write_lines(conn, NOW_US, NOW_US - DAY_US)
    write_lines(conn, NOW_US, NOW_US - MINUTE_US)  # the first is there already
    assert conn.execute("select rows from sample_written order by day").fetchall() == [(1,), (2,)]
    result = run("--gateway", GATEWAY)
    assert result.exit_code == 0, result.output
    # Within the day of `since` the two rows may lie on either side of it.
    assert run("--gateway", GATEWAY, "--since", "2025-11-24").exit_code == 0
    conn.execute("delete from sample_reading")
    result = run("--gateway", GATEWAY)
    assert result.exit_code == 1
    assert "the reading tables hold 5 rows, the ledger says 8" in result.stderr


def test_a_day_of_samples_that_reaches_across_the_floor_widens_the_bounds(
    conn: psycopg.Connection, run: Verify
) -> None:
    write_lines(conn, NOW_US, NOW_US - MINUTE_US)
    floor = "update raw_store set raw_floor = '2025-11-24 16:00+00' where kind = 5"
    conn.execute(floor)
    assert run("--gateway", GATEWAY).exit_code == 0
    write_lines(conn, NOW_US + DAY_US)
    conn.execute("delete from sample_reading")
    result = run("--gateway", GATEWAY)
    assert "the reading tables hold 0 rows, the ledger says 1 to 3" in result.stderr


def test_rows_taken_out_of_a_batch_without_a_word_are_lost(
    conn: psycopg.Connection, run: Verify
) -> None:
    accept(conn, [delivery([], seq=1), lamp_delivery(2)])  # the second says 5 rows came before it
    result = run("--json")
    assert result.exit_code == 1
    [account] = [one for one in json.loads(result.stdout) if not one["balanced"]]
    assert account["days"][0]["lost"] == 5
    assert account["findings"] == ["2025-11-24: 5 rows are gone and were not declared"]


def test_a_number_with_two_contents_is_an_alarm_that_somebody_sees(
    conn: psycopg.Connection, run: Verify
) -> None:
    accept(conn, [lamp_delivery(1)])
    accept(conn, [delivery(lamp_rows(seq=9), seq=1)])
    result = run("--gateway", GATEWAY)
    assert result.exit_code == 1
    assert "bring a number again with other content" in result.stderr


def test_a_numbering_that_counts_rows_twice_is_an_alarm(
    conn: psycopg.Connection, run: Verify
) -> None:
    accept(conn, [lamp_delivery(1), delivery(lamp_rows(seq=2), seq=2, rows_before=3)])
    result = run("--gateway", GATEWAY)
    assert result.exit_code == 1
    assert "counts 2 rows twice" in result.stderr


def test_rows_sent_again_by_a_new_store_are_repeated_and_balance(
    conn: psycopg.Connection, run: Verify
) -> None:
    accept(conn, [lamp_delivery(1)])
    accept(conn, [delivery(lamp_rows(seq=1), seq=1, epoch=Epoch(uuid.UUID(int=9)))])
    [account] = json.loads(run("--gateway", GATEWAY, "--json").stdout)
    assert account["balanced"]
    [day] = account["days"]
    assert (day["produced"], day["stored"], day["repeated"]) == (10, 5, 5)


def test_since_leaves_earlier_days_out(conn: psycopg.Connection, run: Verify) -> None:
    accept(conn, [lamp_delivery(1)])
    [account] = json.loads(run("--gateway", GATEWAY, "--since", "2025-11-25", "--json").stdout)
    assert account["days"] == []
    assert run("--since", "yesterday").exit_code == 2


def test_an_unknown_gateway_is_one_line(run: Verify) -> None:
    result = run("--gateway", "cab-nowhere")
    assert result.exit_code == 1
    assert "cab-nowhere" in result.stderr
    assert "Traceback" not in result.output


async def test_a_key_of_another_territory_does_not_see_the_account(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        assert (await client.get(DAYS)).json()["time_zone"] == "Europe/Paris"
        key = await make_key(migrated_database_url, Scope.READ, territory="val-bas")
        answer = await client.get(DAYS, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == 404
        assert (await client.get(DAYS, params={"since": "soon"})).status_code == 422
