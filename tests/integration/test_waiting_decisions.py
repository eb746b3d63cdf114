"""Closings and bays in use: decided by staff, audited, seen by citizens, kept as evidence."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from cloud.api.app import create_app
from cloud.clock import ManualClock
from cloud.keys.model import Scope
from protocols.time import US_PER_S
from tests.integration.api_world import bearer, make_key, settings
from tests.integration.seeded_territory import NOW_US, seed
from tests.integration.test_provision_cli import served

PATH = "/api/v1/facilities/dechetterie"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_US)


@pytest.fixture
async def client(
    migrated_database_url: str, clock: ManualClock
) -> AsyncIterator[httpx.AsyncClient]:
    """A key of a warden, at 10:30 on a Saturday that is open from 9 to 12 and 14 to 18."""
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
    key = await make_key(migrated_database_url, Scope.WAITING)
    app = create_app(settings(migrated_database_url), clock=clock)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://api", headers=bearer(key)
        ) as found,
    ):
        yield found


async def test_a_closing_is_told_to_citizens_at_once_and_ends_when_asked(
    client: httpx.AsyncClient, clock: ManualClock
) -> None:
    body = {"kind": "closed", "until": "2026-11-21T10:15:00Z", "reason": "Verglas"}
    made = await client.post(f"{PATH}/exceptions", json=body)
    assert made.status_code == 201, made.text
    wait = (await client.get(f"{PATH}/wait")).json()
    assert (wait["status"], wait["wait_minutes"], wait["notice"]) == ("closed", None, "Verglas")
    assert wait["opens_at"] == "2026-11-21T10:15:00Z"
    clock.advance_us(60 * US_PER_S)
    number = made.json()["id"]
    assert (await client.delete(f"{PATH}/exceptions/{number}")).status_code == 204
    assert (await client.delete(f"{PATH}/exceptions/{number}")).status_code == 404
    wait = (await client.get(f"{PATH}/wait")).json()
    assert (wait["status"], wait["notice"]) == ("unknown", None)
    (kept,) = (await client.get(f"{PATH}/exceptions")).json()["items"]
    assert kept["ended_by"] == kept["created_by"]
    assert kept["until"] == "2026-11-21T09:31:00Z"


async def test_bays_in_use_hold_until_somebody_ends_them(
    client: httpx.AsyncClient, clock: ManualClock, migrated_database_url: str
) -> None:
    made = await client.post(f"{PATH}/capacity", json={"bays": 4, "reason": "Travaux"})
    assert made.status_code == 201, made.text
    assert made.json()["until"] is None
    assert (await client.get(f"{PATH}/wait")).json()["capacity"] == 4
    clock.advance_us(60 * US_PER_S)
    number = made.json()["id"]
    assert (await client.delete(f"{PATH}/capacity/{number}")).status_code == 204
    assert (await client.get(f"{PATH}/wait")).json()["capacity"] == 6
    assert (await client.get(f"{PATH}/capacity")).json()["declared"] == 6
    with psycopg.connect(migrated_database_url) as conn:
        events = conn.execute(
            "select action, object, after ->> 'bays' from audit_event"
            " where object like '%facility:%' order by audit_id"
        ).fetchall()
    name = f"capacity {number} of facility:alzette/dechetterie/dechetterie"
    assert events == [("created", name, "4"), ("ended", name, None)]


@pytest.mark.parametrize(
    ("what", "body", "fault"),
    [
        ("exceptions", {"until": "2026-11-21T12:00:00"}, "zone"),
        ("exceptions", {"until": "2026-11-21T09:00:00Z"}, "until must lie"),
        ("exceptions", {"kind": "open", "until": "2026-11-23T09:00:00Z"}, "24 hours"),
        ("exceptions", {"until": "2026-11-22T09:00:00Z", "reason": ""}, "fault"),
        ("capacity", {"bays": 0}, "fault"),
        ("capacity", {"bays": 3, "until": "2036-11-22T09:00:00Z"}, "two years"),
        ("capacity", {"bays": 3, "por": 1}, "fault"),
    ],
)
async def test_a_mistake_is_refused_with_the_remedy(
    client: httpx.AsyncClient, what: str, body: dict[str, object], fault: str
) -> None:
    kind = {"kind": "closed"} if what == "exceptions" else {}
    answer = await client.post(f"{PATH}/{what}", json={**kind, "reason": "x", **body})
    assert answer.status_code == 422
    assert fault in answer.text


async def test_no_more_than_a_page_of_changes_can_be_pending(client: httpx.AsyncClient) -> None:
    codes = [
        (await client.post(f"{PATH}/capacity", json={"bays": 3, "reason": "x"})).status_code
        for _ in range(65)
    ]
    assert codes == [201] * 64 + [409]


async def test_who_may_decide(client: httpx.AsyncClient, migrated_database_url: str) -> None:
    body = {"bays": 3, "reason": "x"}
    reader = bearer(await make_key(migrated_database_url, Scope.READ))
    refused = await client.post(f"{PATH}/capacity", json=body, headers=reader)
    assert refused.status_code == 403
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        conn.execute("insert into territory (slug, name) values ('ailleurs', 'Ailleurs')")
    foreign = bearer(await make_key(migrated_database_url, Scope.WAITING, territory="ailleurs"))
    assert (await client.get(f"{PATH}/capacity", headers=foreign)).status_code == 404
    assert (
        await client.get(f"{PATH}/exceptions", headers={"Authorization": ""})
    ).status_code == 401


@pytest.fixture
def environment(migrated_database_url: str) -> Iterator[dict[str, str]]:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
    key = asyncio.run(make_key(migrated_database_url, Scope.WAITING))
    with served(migrated_database_url) as url:
        yield {"ECLOR_API_URL": url, "ECLOR_API_KEY": key}


def run(environment: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(main, ["waiting", *words], env=environment)


def test_the_command_decides_lists_and_ends(environment: dict[str, str]) -> None:
    given = run(
        environment, "capacity", "add", "dechetterie", "--bays", "4", "--reason", "x", "--json"
    )
    number = str(json.loads(given.output)["id"])
    closed = run(environment, "closing", "add", "dechetterie", "--hours", "1", "--reason", "Neige")
    shown = run(environment, "show", "dechetterie", "--json")
    table = run(environment, "show")
    listed = run(environment, "closing", "list", "dechetterie")
    ended = run(environment, "capacity", "end", "dechetterie", number)
    assert closed.exit_code == 0, closed.output
    found = json.loads(shown.output)
    assert (found["capacity"], found["status"], found["notice"]) == (4, "closed", "Neige")
    assert "closed" in table.output
    assert "Neige" in listed.output
    assert ended.output == f"change {number} of dechetterie has ended\n"
    assert "4" in run(environment, "capacity", "list", "dechetterie").output
    slots = json.loads(run(environment, "forecast", "dechetterie", "--json").output)
    assert slots["best_slots"] == []
    assert "best: -" in run(environment, "forecast", "dechetterie", "--hours", "24").output
    assert "nothing was scored" in run(environment, "accuracy", "dechetterie").output
    assert "learned_at" in run(environment, "model", "dechetterie").output
    both = ("--hours", "1", "--until", "2030-01-01T00:00:00Z", "--reason", "x")
    told = run(environment, "closing", "add", "dechetterie", *both)
    assert (told.exit_code, "--hours counts from now" in told.output) == (2, True)
