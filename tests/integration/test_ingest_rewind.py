"""After a restore: the gateways are asked for what the database no longer has."""

import json
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.cloud import cloud
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Outcome
from cloud.ingest.rewind import rewind
from protocols.ack import StreamAck, decode_ack, encode_ack
from protocols.ids import GatewayId
from tests.integration.deliveries import EPOCH, GATEWAY, add_gateways, lamp_delivery

OTHER = GatewayId("cab-nord-2")


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    add_gateways(migrated_database_url, GATEWAY, OTHER)
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        yield connection


def stream_of(outcome: Outcome) -> StreamAck:
    """What the gateway reads, after the way over the wire."""
    assert outcome.ack is not None
    [stream] = decode_ack(encode_ack(outcome.ack)).streams
    return stream


def restore_backup(conn: psycopg.Connection, *, newest_seq: int) -> None:
    """The database as it was when it had the batches up to `newest_seq`."""
    conn.execute("delete from batch_ledger where seq > %s", (newest_seq,))
    conn.execute("update stream set received = %s::int8multirange", (f"{{[1,{newest_seq + 1})}}",))
    rows = newest_seq * 5
    conn.execute(
        "delete from light_reading where t not in (select t from light_reading"
        " order by t desc limit %s)",
        (rows,),
    )


def test_after_a_restore_the_ack_asks_for_what_is_missing_until_it_is_there(
    conn: psycopg.Connection,
) -> None:
    accept(conn, [lamp_delivery(seq) for seq in range(1, 7)])
    restore_backup(conn, newest_seq=3)
    [asked] = rewind(conn, None, actor="console")
    assert (asked.gateway, asked.epoch, asked.rewind_to) == (GATEWAY, EPOCH, 4)
    [outcome] = accept(conn, [lamp_delivery(7)])  # the gateway goes on where it was
    stream = stream_of(outcome)
    assert (stream.watermark, stream.ranges, stream.rewind_to) == (3, ((7, 7),), 4)
    outcomes = accept(conn, [lamp_delivery(seq) for seq in (4, 5, 6)])
    stream = stream_of(outcomes[-1])
    assert (stream.watermark, stream.ranges, stream.rewind_to) == (7, (), None)


def test_a_stream_that_lacks_its_beginning_is_asked_from_the_first_number(
    conn: psycopg.Connection,
) -> None:
    accept(conn, [lamp_delivery(seq) for seq in (3, 4)])
    [asked] = rewind(conn, GATEWAY, actor="console")
    assert asked.rewind_to == 1


def test_only_the_named_gateway_is_asked_and_the_record_says_so(conn: psycopg.Connection) -> None:
    accept(conn, [lamp_delivery(1), lamp_delivery(1, gateway=OTHER)])
    assert [stream.gateway for stream in rewind(conn, OTHER, actor="console")] == [OTHER]
    assert conn.execute("select actor, action, object from audit_event").fetchall() == [
        ("console", "rewound", f"gateway:{OTHER}")
    ]


@pytest.fixture
def command(migrated_database_url: str, monkeypatch: pytest.MonkeyPatch) -> "Command":
    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    return Command()


class Command:
    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(cloud, ["rewind", *words])


def test_the_command_says_what_it_asked_for(conn: psycopg.Connection, command: Command) -> None:
    accept(conn, [lamp_delivery(seq) for seq in (1, 2)])
    shown = command("--all")
    assert shown.exit_code == 0
    assert shown.stdout == f"{GATEWAY} live, store {EPOCH}: from batch 3 on\n"
    assert json.loads(command(GATEWAY, "--json").stdout) == [
        {"gateway": GATEWAY, "epoch": str(EPOCH), "lane": "live", "rewind_to": 3}
    ]


@pytest.mark.parametrize("words", [(), (GATEWAY, "--all")])
def test_the_command_wants_one_gateway_or_all(command: Command, words: tuple[str, ...]) -> None:
    assert command(*words).exit_code == 2


def test_an_unknown_gateway_is_one_line(conn: psycopg.Connection, command: Command) -> None:
    result = command("cab-nowhere")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: there is no gateway 'cab-nowhere'; see: eclor provision gateway list\n"
    )
