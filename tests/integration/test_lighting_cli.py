"""`eclor lighting` against a running API: what it shows, and orders that end."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import click
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


DECISION = (
    *("--from", "23:30", "--to", "05:00", "--days", "sun-thu", "--first-day", "2026-01-01"),
    *("--decided-by", "Conseil municipal", "--decided-on", "2025-12-15"),
    *("--reference", "Arrêté municipal 2025-118"),
)


def test_what_is_there_is_shown(environment: dict[str, str]) -> None:
    groups = run(environment, "groups")
    plan = run(environment, "plan", "rue-centre")
    plans = run(environment, "plans")
    why = run(environment, "explain", "alzette.rue-centre", "--lang", "en")
    programs = run(environment, "programs", "rue-centre")
    nights = run(environment, "energy", "rue-centre", "--nights", "2")
    faults = run(environment, "faults", "--all")
    assert "rue-centre" in groups.output
    assert "level_pct" in plan.output
    assert "held_at" in plan.output
    assert plans.output.count("unconfirmed") == 2
    assert "off: it is day." in why.output
    assert programs.output.startswith("2026-11-20  16:48 100 %, 07:57 off\n2026-11-21  ")
    assert "without a plan  sunset +0 min to sunrise +0 min 100 %\n" in programs.output
    assert programs.output.endswith("reason: program\n")
    assert "baseline: SHP 110 W" in nights.output
    assert (faults.exit_code, "noticed_at" in faults.output) == (0, True)
    assert len(json.loads(run(environment, "groups", "--json").output)) == 2


def test_an_order_is_given_listed_and_ended(environment: dict[str, str]) -> None:
    order = ("--level", "100", "--hours", "2", "--reason", "essai")
    given = run(environment, "override", "add", "rue-centre", *order, "--json")
    (order_given,) = json.loads(given.output)
    number = str(order_given["id"])
    listed = run(environment, "override", "list", "rue-centre")
    ended = run(environment, "override", "end", "rue-centre", number)
    again = run(environment, "override", "end", "rue-centre", number)
    assert given.exit_code == 0, given.output
    assert "essai" in listed.output
    assert ended.output == f"override {number} of rue-centre has ended\n"
    assert again.exit_code != 0
    assert "still holds" in again.output


MISTAKES = (
    (("plan", "rue-inconnue"), "unknown"),
    (("rule", "add", "rue-centre", "event", *DECISION, "--days", "mon,xyz"), "'xyz' is no day"),
    (("segment", "edit", "rue-centre", "--set", "ramp_s"), "HTTP 404"),
    (("override", "add", "rue-centre", "--level", "120", "--hours", "2", "--reason", "x"), "120"),
    (("override", "add", "rue-centre", "--level", "50", "--hours", "200", "--reason", "x"), "168"),
)


def test_a_mistake_is_told_in_a_line(environment: dict[str, str]) -> None:
    for words, fault in MISTAKES:
        told = run(environment, *words)
        assert told.exit_code != 0
        assert fault in told.output
        assert "Traceback" not in told.output


def test_a_decision_of_the_council_is_kept_and_stays_as_evidence(
    environment: dict[str, str],
) -> None:
    made = run(environment, "rule", "add", "rue-centre", "extinction", *DECISION, "--json")
    (rule,) = json.loads(made.output)
    listed = run(environment, "rule", "list", "rue-centre")
    ended = run(environment, "rule", "end", "rue-centre", str(rule["id"]))
    now = json.loads(run(environment, "rule", "list", "rue-centre", "--json").output)
    (kept,) = json.loads(run(environment, "rule", "list", "rue-centre", "--all", "--json").output)
    assert rule["weekdays"] == [0, 1, 2, 3, 6]
    for word in ("extinction", "23:30-05:00", "Conseil municipal", "2025-12-15", "2025-118"):
        assert word in listed.output
    assert ended.output == f"rule {rule['id']} of rue-centre is out of force\n"
    assert now == []
    assert kept["ended_at"] is not None
    assert kept["reference"] == "Arrêté municipal 2025-118"


def test_what_concerns_the_whole_town_is_decided_and_ended_at_once(
    environment: dict[str, str],
) -> None:
    made = run(environment, "rule", "add", "alzette.*", "extinction", *DECISION)
    words = ("--level", "100", "--hours", "1", "--reason", "secours")
    ordered = run(environment, "override", "add", "*", *words)
    listed = json.loads(run(environment, "rule", "list", "rue-*", "--json").output)
    overrides = json.loads(run(environment, "override", "list", "*", "--json").output)
    repealed = ("--reference", "Arrêté municipal 2025-118")
    ended = run(environment, "rule", "end", "alzette.*", *repealed)
    both = run(environment, "rule", "end", "alzette.*")
    nobody = run(environment, "rule", "list", "val.*")
    assert made.output.count("extinction 23:30-05:00") == 2
    assert ordered.output.count("100 % until") == 2
    everywhere = ["alzette.rue-centre", "alzette.rue-gare"]
    assert [one["group"] for one in listed] == [one["group"] for one in overrides] == everywhere
    assert ended.output.count("is out of force") == 2
    assert json.loads(run(environment, "rule", "list", "*", "--json").output) == []
    assert (both.exit_code, "either the NUMBER" in both.output) == (2, True)
    assert (nobody.exit_code, "there are alzette.rue-centre" in nobody.output) == (1, True)


ROADS = """
[[segments]]
group = "alzette.rue-centre"
norm = "cen-2014"
family = "M"
designed_class = "M3"
flux_lm = 40000
area_m2 = 2000
over_lighting = { ratio = 1.2, measured_on = 2026-05-04, evidence = "relevé 2026-17" }
[segments.parameters]
speed = "moderate"
composition = "mixed"
separated = "no"
junctions = "dense"
parked = "no"
ambient = "moderate"
guidance = "easy"
"""


def test_roads_are_described_by_a_file_shown_edited_and_forgotten(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file, again = tmp_path / "roads.toml", tmp_path / "again.toml"
    file.write_text(ROADS, encoding="utf-8")
    dry = run(environment, "segment", "import", str(file), "--dry-run")
    nobody = run(environment, "segment", "list")
    first = run(environment, "segment", "import", str(file))
    second = run(environment, "segment", "import", str(file))
    shown = run(environment, "segment", "show", "rue-centre")
    exported = run(environment, "segment", "export", "-o", str(again))
    third = run(environment, "segment", "import", str(again))
    words = ("--set", "parameters.parked=yes", "--set", "ramp_s=120", "--unset", "over_lighting")
    edited = run(environment, "segment", "edit", "rue-centre", *words)
    same = run(environment, "segment", "edit", "rue-centre", "--set", "ramp_s=120.0")
    listed = run(environment, "segment", "list")
    removed = run(environment, "segment", "remove", "rue-centre")
    assert dry.output.endswith("would be described: 1, unchanged: 0\n")
    assert "M3/M4/M5" not in nobody.output
    assert first.output == "+ alzette.rue-centre\ndescribed: 1, unchanged: 0\n"
    assert second.output == third.output == "described: 0, unchanged: 1\n"
    assert exported.exit_code == 0, exported.output
    for word in ("relevé 2026-17", "lm_per_m2: 20, French limit 35: kept", "bought copy", "83.4"):
        assert word in shown.output
    assert edited.output == "rue-centre: M2 100 %, M3 100 %, M4 75 %\n"
    assert same.output == "nothing changed\n"
    assert "M2/M3/M4" in listed.output
    assert removed.exit_code == 0, removed.output
    assert run(environment, "segment", "show", "rue-centre").exit_code != 0


def test_a_road_is_edited_as_a_text(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "roads.toml"
    file.write_text(ROADS, encoding="utf-8")
    run(environment, "segment", "import", str(file))

    def edit(text: str, **_: object) -> str:
        return text.replace('ambient = "moderate"', 'ambient = "low"')

    monkeypatch.setattr(click, "edit", edit)
    told = run(environment, "segment", "edit", "rue-centre")
    assert told.output.startswith("rue-centre: M4 ")


FAULTY = (
    (ROADS.replace('"M3"', '"C9"'), "[[segments]] 1 (alzette.rue-centre): segment: "),
    (ROADS.replace('"alzette.rue-centre"', '"nowhere"'), "no lighting group is called nowhere"),
    (ROADS.replace('group = "alzette.rue-centre"', ""), "group is missing"),
    ("[roads]", "write one [[segments]] a road"),
    ("segments =", "roads.toml: "),
)


def test_a_faulty_file_of_roads_is_told_and_nothing_is_sent(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "roads.toml"
    for text, fault in FAULTY:
        file.write_text(text, encoding="utf-8")
        told = run(environment, "segment", "import", str(file))
        assert told.exit_code == 1
        assert fault in told.output
    assert "M3" not in run(environment, "segment", "list").output
