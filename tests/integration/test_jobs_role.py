"""The jobs role on a real database and broker: plans arrive, waits are kept, one process works."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt
import psycopg
import pytest

from cloud.clock import ManualClock
from cloud.errors import BrokerUnavailable, DatabaseUnavailable
from cloud.jobs import main
from cloud.jobs.leader import leadership
from cloud.jobs.publisher import PlanPublisher
from cloud.settings import Broker, Database, Jobs, Settings
from protocols import topics
from protocols.ids import gateway_id
from protocols.plan import decode_plan
from tests.integration.seeded_territory import NOW_US, seed
from tests.services.mosquitto import Broker as RealBroker

LIMIT_S = 60


def _settings(database_url: str, broker_url: str) -> Settings:
    return Settings(
        database=Database(url=database_url),
        broker=Broker(url=broker_url),
        jobs=Jobs(plan_interval_s=10, wait_interval_s=5),
    )


@asynccontextmanager
async def _serving(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(main.serve(settings, stop, clock=ManualClock(NOW_US)))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(LIMIT_S):
            await task


async def _until(reached: Callable[[], bool], what: str) -> None:
    """Look again with growing pauses, at most LIMIT_S."""
    pause_s = 0.01
    try:
        async with asyncio.timeout(LIMIT_S):
            while not reached():
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, 0.5)
    except TimeoutError:
        pytest.fail(f"not reached in {LIMIT_S} s: {what}")


async def test_plans_reach_the_broker_retained_and_waits_are_kept(
    migrated_database_url: str, broker: RealBroker
) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
        async with (
            _serving(_settings(migrated_database_url, broker.url)),
            aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as client,
        ):
            await client.subscribe(topics.plan(gateway_id("gw-centre")), qos=1)
            async with asyncio.timeout(LIMIT_S):
                message = await anext(aiter(client.messages))
            assert isinstance(message.payload, bytes)
            plan = decode_plan(message.payload)
            assert plan.gateway == "gw-centre"
            assert len(plan.groups) == 1
            await _until(
                lambda: conn.execute("select 1 from wait_estimate").fetchone() is not None,
                "an estimate",
            )
        async with aiomqtt.Client(
            broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5
        ) as late:
            await late.subscribe(topics.plan(gateway_id("gw-centre")), qos=1)
            async with asyncio.timeout(LIMIT_S):
                kept = await anext(aiter(late.messages))
            assert kept.retain
            assert kept.payload == message.payload


async def test_a_second_process_stands_by_until_the_first_is_gone(
    migrated_database_url: str,
) -> None:
    database = Database(url=migrated_database_url)
    async with leadership(database) as first:
        assert first is not None
        async with leadership(database) as second:
            assert second is None
    async with leadership(database) as third:
        assert third is not None


async def test_a_database_that_goes_before_the_lock_is_answered_is_away(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = psycopg.AsyncConnection.connect

    async def connect_and_lose(*args: Any, **kwargs: Any) -> psycopg.AsyncConnection:
        conn = await connect(*args, **kwargs)
        with psycopg.connect(migrated_database_url, autocommit=True) as other:
            other.execute("select pg_terminate_backend(%s)", (conn.info.backend_pid,))
        return conn

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", connect_and_lose)
    with pytest.raises(DatabaseUnavailable, match="cannot be used"):
        async with leadership(Database(url=migrated_database_url)):
            pass


async def test_waits_go_on_while_the_broker_is_away(
    migrated_database_url: str, unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
        settings = _settings(migrated_database_url, f"mqtt://127.0.0.1:{unused_port}")
        async with _serving(settings):
            await _until(
                lambda: conn.execute("select 1 from wait_estimate").fetchone() is not None,
                "an estimate without a broker",
            )
    assert "Traceback" not in caplog.text


async def test_without_a_database_the_role_waits_says_so_once_a_try_and_stops_when_asked(
    unused_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"postgresql://eclor@127.0.0.1:{unused_port}/eclor"
    settings = _settings(url, f"mqtt://127.0.0.1:{unused_port}")
    with caplog.at_level(logging.ERROR, logger="eclor.jobs"):
        async with _serving(settings):
            await _until(lambda: "database_unavailable" in caplog.text, "a clear line")
    assert "Traceback" not in caplog.text
    assert "ECLOR_DATABASE_URL" in caplog.text


async def test_an_unconnected_publisher_says_which_broker_is_away(unused_port: int) -> None:
    publisher = PlanPublisher(Broker(url=f"mqtt://127.0.0.1:{unused_port}"))
    with publisher.running(), pytest.raises(BrokerUnavailable, match=str(unused_port)):
        await publisher.publish({gateway_id("gw-centre"): ("x", b"{}")})


async def test_a_plan_is_published_again_only_when_its_hash_changed(broker: RealBroker) -> None:
    publisher = PlanPublisher(Broker(url=broker.url))
    gateway = gateway_id("gw-again")
    with publisher.running():
        await _until(lambda: publisher.connected, "a connection")
        assert await publisher.publish({gateway: ("one", b"1")}) == 1
        assert await publisher.publish({gateway: ("one", b"1")}) == 0
        assert await publisher.publish({gateway: ("two", b"2")}) == 1
