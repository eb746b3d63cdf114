"""Segments, council rules and overrides over HTTP, and how they come into the plan."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise

import httpx
import psycopg
import pytest

from cloud.keys.model import Scope
from cloud.lighting import orders, service, store
from cloud.lighting.demand import DecidedBy, Decision, LiveRaise
from cloud.lighting.signing import PlanSigner
from protocols.plan import Source, level_at
from protocols.time import US_PER_S, TimeUs, from_datetime
from tests.integration.seeded_territory import NOW, NOW_US, seed
from tests.integration.test_lighting_routes import GROUPS, client
from tests.lighting_cases import HOUR_US, RULE, SEGMENT

GROUP = f"{GROUPS}/rue-centre"


@pytest.fixture
def url(migrated_database_url: str) -> str:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
    return migrated_database_url


@pytest.fixture
async def lighter(url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client(url, Scope.LIGHTING) as found:
        yield found


async def plan_at(url: str, t_us: int) -> store.IssuedPlan:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await service.issue_plans(conn, TimeUs(t_us), PlanSigner())
        gateways = await store.groups(conn)
        issued = await store.latest_plan(conn, gateways[0].gateway_id)
    assert issued is not None
    return issued


async def test_a_described_road_shows_its_classes_and_what_is_to_be_checked(
    lighter: httpx.AsyncClient,
) -> None:
    missing = await lighter.get(f"{GROUP}/segment")
    put = await lighter.put(f"{GROUP}/segment", json={**SEGMENT, "flux_lm": 4e4, "area_m2": 2e3})
    shown = (await lighter.get(f"{GROUP}/segment")).json()
    assert (missing.status_code, put.status_code) == (404, 200)
    assert [c["lighting_class"] for c in shown["classes"]] == ["M3", "M4", "M5"]
    (limit,) = shown["limits"]
    assert (limit["value"], limit["limit"], limit["kept"]) == (20.0, 35.0, True)
    assert "weights.M" in shown["to_check"]


async def test_a_road_that_no_table_knows_is_refused_with_the_field(
    lighter: httpx.AsyncClient,
) -> None:
    refused = await lighter.put(f"{GROUP}/segment", json={**SEGMENT, "designed_class": "C9"})
    assert refused.status_code == 422
    assert "designed_class" in refused.json()["detail"]


async def test_a_rule_comes_into_the_plan_and_goes_out_of_it(
    lighter: httpx.AsyncClient, url: str
) -> None:
    added = await lighter.post(f"{GROUP}/rules", json=RULE)
    night = from_datetime(datetime.fromisoformat("2026-11-22T02:00:00+01:00"))
    dark = await plan_at(url, NOW_US)
    listed = (await lighter.get(f"{GROUP}/rules")).json()["items"]
    ended = await lighter.delete(f"{GROUP}/rules/{added.json()['id']}")
    again = await lighter.delete(f"{GROUP}/rules/{added.json()['id']}")
    lit = await plan_at(url, NOW_US + US_PER_S)
    assert added.status_code == 201
    assert [item["reference"] for item in listed] == [RULE["reference"]]
    assert level_at(dark.plan, dark.plan.groups[0], night, clock_sure=True).level_pct == 0.0
    assert (ended.status_code, again.status_code) == (204, 404)
    assert level_at(lit.plan, lit.plan.groups[0], night, clock_sure=True).level_pct == 100.0


async def test_an_override_holds_until_its_end_or_until_it_is_ended(
    lighter: httpx.AsyncClient, url: str
) -> None:
    until = NOW + timedelta(hours=2)
    order = {"level_pct": 30, "until": until.isoformat(), "priority": 9, "reason": "essai"}
    added = await lighter.post(f"{GROUP}/overrides", json=order)
    first = await plan_at(url, NOW_US)
    group = first.plan.groups[0]
    during = level_at(first.plan, group, NOW_US + 60 * US_PER_S, clock_sure=True)
    after = level_at(first.plan, group, from_datetime(until), clock_sure=True)
    ended = await lighter.delete(f"{GROUP}/overrides/{added.json()['id']}")
    second = await plan_at(url, NOW_US + US_PER_S)
    now = level_at(second.plan, second.plan.groups[0], NOW_US + 60 * US_PER_S, clock_sure=True)
    listed = (await lighter.get(f"{GROUP}/overrides")).json()["items"]
    assert (added.status_code, ended.status_code) == (201, 204)
    assert (during.level_pct, during.source) == (30.0, Source.OVERRIDE)
    assert after.source is now.source is Source.PLAN
    assert listed[0]["ended_by"] == listed[0]["created_by"]


async def test_the_plan_is_told_in_the_words_of_talq(lighter: httpx.AsyncClient, url: str) -> None:
    until = NOW + timedelta(hours=2)
    none = await lighter.get(f"{GROUP}/programs")
    order = {"level_pct": 29.5, "until": until.isoformat(), "priority": 9, "reason": "essai"}
    await plan_at(url, NOW_US)
    by_day = (await lighter.get(f"{GROUP}/programs")).json()
    number = (await lighter.post(f"{GROUP}/overrides", json=order)).json()["id"]
    await plan_at(url, NOW_US + US_PER_S)
    told = (await lighter.get(f"{GROUP}/programs")).json()
    assert none.status_code == 404
    assert (by_day["inForce"]["reason"], by_day["inForce"]["state"]["value"]) == ("program", 0)
    assert by_day["inForce"]["refAddress"] == told["calendar"]["id"] == "rue-centre"
    names = {program["id"] for program in told["controlPrograms"]}
    assert {rule["program"] for rule in told["calendar"]["rules"]} < names
    assert told["calendar"]["defaultProgram"] in names
    (command,) = told["overrideCommands"]
    assert command["addresses"] == ["/groups/rue-centre"]
    assert command["targetCommand"] == told["inForce"]
    assert told["inForce"]["reason"] == "override"
    assert told["inForce"]["cmsRefId"] == f"{number}, priority 9: essai"
    assert told["inForce"]["state"] == {"name": "LevelState", "value": 30}
    assert datetime.fromisoformat(told["inForce"]["expiration"]) == until


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"until": "2026-11-21T09:00:00Z"}, "after now"),
        ({"until": "2026-12-21T09:00:00Z"}, "within 7 days"),
        ({"until": "2026-11-21T12:00:00"}, "zone"),
        ({"level_pct": 101}, ""),
        ({"reason": ""}, ""),
    ],
)
async def test_an_override_without_a_right_end_is_refused(
    lighter: httpx.AsyncClient, change: dict[str, object], fault: str
) -> None:
    order = {"level_pct": 30, "until": "2026-11-21T12:00:00Z", "reason": "essai", **change}
    refused = await lighter.post(f"{GROUP}/overrides", json=order)
    assert refused.status_code == 422
    assert fault in refused.json()["detail"]


async def test_every_slot_is_explained_with_its_baseline(
    lighter: httpx.AsyncClient, url: str
) -> None:
    await lighter.put(f"{GROUP}/segment", json=SEGMENT)
    await plan_at(url, NOW_US)
    whole = (await lighter.get(f"{GROUP}/explanation")).json()
    night = "2026-11-21T23:00:00Z"
    one = (await lighter.get(f"{GROUP}/explanation", params={"at": night, "lang": "en"})).json()
    bare = await lighter.get(f"{GROUP}/explanation", params={"at": "2026-11-21T23:00:00"})
    assert bare.status_code == 422
    assert len(whole["items"]) > 16
    assert [item["sentence"][:5] for item in one["items"]] == ["From "]
    now = (await lighter.get(f"{GROUP}/explanation", params={"at": NOW.isoformat()})).json()
    assert [item["rule"] for item in now["items"]] == ["day"]
    lit = next(item for item in whole["items"] if item["lighting_class"])
    assert lit["sentence"].startswith("De ")
    assert lit["baseline_w"] > lit["expected_w"] > 0
    assert whole["baseline"]


async def test_an_order_by_hand_is_explained_while_it_lasts(
    lighter: httpx.AsyncClient, url: str
) -> None:
    order = {
        "level_pct": 30,
        "start": "2026-11-21T20:00:00Z",
        "until": "2026-11-21T21:30:00Z",
        "reason": "Feu d'artifice",
    }
    await lighter.post(f"{GROUP}/overrides", json=order)
    await plan_at(url, NOW_US)

    async def why(at: str) -> dict[str, object]:
        asked = {"at": at, "lang": "fr"}
        (item,) = (await lighter.get(f"{GROUP}/explanation", params=asked)).json()["items"]
        return dict(item)

    during, after = await why("2026-11-21T21:00:00Z"), await why("2026-11-21T21:30:00Z")
    assert during["sentence"] == "De 21 h 00 à 22 h 30, 30 % sur ordre : Feu d'artifice."
    assert (during["rule"], during["reference"]) == ("override", "Feu d'artifice")
    assert after["rule"] == "class"
    assert after["level_pct"] == 100.0
    whole = (await lighter.get(f"{GROUP}/explanation")).json()["items"]
    ends = [(item["start"], item["until"]) for item in whole]
    assert all(until == start for (_, until), (start, _) in pairwise(ends))


async def test_only_gateways_with_a_change_are_planned_anew(
    lighter: httpx.AsyncClient, url: str
) -> None:
    await plan_at(url, NOW_US)
    await lighter.post(f"{GROUP}/rules", json=RULE)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        changed = await orders.changed_gateways(conn, NOW - timedelta(minutes=1))
        issued = await service.issue_plans(
            conn, TimeUs(NOW_US + US_PER_S), PlanSigner(), only=changed
        )
        assert await orders.changed_gateways(conn, NOW + timedelta(minutes=1)) == set()
    assert issued == ["gw-centre"]


async def test_decisions_are_forgotten_a_year_later(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        (group, *_) = await store.groups(conn)
        hour = TimeUs(NOW_US - NOW_US % HOUR_US)
        decided = [Decision(hour, 1, DecidedBy.HOUR_AHEAD)]
        await orders.put_decisions(conn, group.group_id, decided, now=NOW)
        raised = LiveRaise(hour, TimeUs(hour + HOUR_US), 0, 300.0)
        await orders.put_raise(conn, group.group_id, raised, now=NOW)
        later = TimeUs(NOW_US + 364 * 24 * HOUR_US)
        assert await service.drop_old_plans(conn, later) == 0
        assert await service.drop_old_plans(conn, TimeUs(later + 48 * HOUR_US)) == 2
