"""`eclor lighting` against a running API: what it shows, and orders that end."""

import asyncio
import json
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from cloud.keys.model import Scope
from cloud.lighting import service
from cloud.lighting.signing import PlanSigner
from tests.integration.api_world import make_key
from tests.integration.seeded_territory import NOW_US, seed
from tests.integration.test_provision_cli import served


@pytest.fixture
def environment(migrated_database_url: str) -> Iterator[dict[str, str]]:
    """A key that may order light, and an API with a plan in it."""
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
    asyncio.run(issued(migrated_database_url))
    key = asyncio.run(make_key(migrated_database_url, Scope.LIGHTING))
    with served(migrated_database_url) as url:
        yield {"ECLOR_API_URL": url, "ECLOR_API_KEY": key}


async def issued(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await service.issue_plans(conn, NOW_US, PlanSigner())


def run(environment: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(main, ["lighting", *words], env=environment)


def test_what_is_there_is_shown(environment: dict[str, str]) -> None:
    groups = run(environment, "groups")
    plan = run(environment, "plan", "rue-centre")
    why = run(environment, "explain", "alzette.rue-centre", "--lang", "en")
    nights = run(environment, "energy", "rue-centre", "--nights", "2")
    faults = run(environment, "faults", "--all")
    assert "rue-centre" in groups.output
    assert "level_pct" in plan.output
    assert "held_at" in plan.output
    assert "off: it is day." in why.output
    assert "baseline: SHP 110 W" in nights.output
    assert (faults.exit_code, "noticed_at" in faults.output) == (0, True)
    assert len(json.loads(run(environment, "groups", "--json").output)) == 2


def test_an_order_is_given_listed_and_ended(environment: dict[str, str]) -> None:
    order = ("--level", "100", "--hours", "2", "--reason", "essai")
    given = run(environment, "override", "add", "rue-centre", *order, "--json")
    number = str(json.loads(given.output)["id"])
    listed = run(environment, "override", "list", "rue-centre")
    ended = run(environment, "override", "end", "rue-centre", number)
    again = run(environment, "override", "end", "rue-centre", number)
    assert given.exit_code == 0, given.output
    assert "essai" in listed.output
    assert ended.output == f"override {number} of rue-centre has ended\n"
    assert again.exit_code != 0
    assert "still holds" in again.output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("plan", "rue-inconnue"), "unknown"),
        (
            ("override", "add", "rue-centre", "--level", "120", "--hours", "2", "--reason", "x"),
            "120",
        ),
        (
            ("override", "add", "rue-centre", "--level", "50", "--hours", "200", "--reason", "x"),
            "168",
        ),
    ],
)
def test_a_mistake_is_told_in_a_line(
    environment: dict[str, str], words: tuple[str, ...], fault: str
) -> None:
    told = run(environment, *words)
    assert told.exit_code != 0
    assert fault in told.output
    assert "Traceback" not in told.output
