"""A gateway's word on its plan is kept and shown beside the plan."""

import json

import psycopg
import pytest

from cloud.keys.model import Scope
from cloud.lighting import acknowledged, service, store
from cloud.lighting.acknowledged import PlanState, decode_state
from cloud.lighting.signing import PlanSigner
from protocols.documents import DocumentError
from protocols.ids import GatewayId
from protocols.time import TimeUs
from tests.integration.seeded_territory import NOW_US, seed
from tests.integration.test_lighting_routes import GROUPS, client

CENTRE = GatewayId("gw-centre")


def document(**plan: object) -> bytes:
    """As `edge.state` writes it."""
    state = {"gateway": CENTRE, "online": True, "t_us": NOW_US, "version": "0", "plan": plan}
    return json.dumps(state).encode()


def test_the_state_document_tells_what_holds_and_what_was_refused() -> None:
    refused = {"hash": "bb", "error": "x" * 900}
    state = decode_state(document(active="aa", next=None, refused=refused), CENTRE)
    assert state == PlanState(NOW_US, "aa", None, "bb", "x" * 500)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"gateway": "other", "t_us": 1}', b"x" * 20_000])
def test_a_state_that_cannot_be_trusted_is_refused(payload: bytes) -> None:
    with pytest.raises(DocumentError):
        decode_state(payload, CENTRE)


PLANS = "/api/v1/lighting/plans"


async def test_the_plan_is_shown_with_the_gateways_word(migrated_database_url: str) -> None:
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        seed(conn)
    path = f"{GROUPS}/rue-centre/plan"
    async with (
        await psycopg.AsyncConnection.connect(migrated_database_url, autocommit=True) as db,
        client(migrated_database_url, Scope.READ) as reader,
    ):
        await service.issue_plans(db, NOW_US, PlanSigner())
        digest = (await store.latest_plans(db))[CENTRE][0]
        unheard = (await reader.get(path)).json()
        silent = (await reader.get(PLANS)).json()["items"]
        kept = await acknowledged.keep(
            db,
            {
                CENTRE: PlanState(NOW_US, None, None, digest, "not signed"),
                GatewayId("gw-unknown"): PlanState(NOW_US, digest, None, None, None),
            },
        )
        refused = (await reader.get(path)).json()
        (told, _) = (await reader.get(PLANS)).json()["items"]
        assert (told["standing"], told["refused"]) == ("refused", "not signed")
        later = PlanState(TimeUs(NOW_US + 1), digest, None, None, None)
        await acknowledged.keep(db, {CENTRE: later})
        older = PlanState(TimeUs(NOW_US - 1), None, None, None, None)
        await acknowledged.keep(db, {CENTRE: older})
        held = (await reader.get(path)).json()
        said = (await reader.get(PLANS)).json()["items"]
        waiting = PlanState(TimeUs(NOW_US + 2), None, digest, None, None)
        await acknowledged.keep(db, {CENTRE: waiting})
        waits = (await reader.get(PLANS)).json()["items"]
    assert kept == 1
    assert [(one["gateway"], one["standing"]) for one in silent] == [
        ("gw-centre", "unconfirmed"),
        ("gw-gare", "unconfirmed"),
    ]
    assert silent[0]["said_at"] is None
    assert (said[0]["standing"], said[0]["plan_id"]) == ("held", held["plan_id"])
    assert [one["standing"] for one in waits] == ["waits", "unconfirmed"]
    assert (unheard["held_at"], unheard["refused"]) == (None, None)
    assert (refused["held_at"], refused["refused"]) == (None, "not signed")
    assert held["held_at"] is not None
    assert held["refused"] is None
