"""The registry over HTTP: documents, objects, preconditions, reach and record."""

import copy
from typing import Any

import psycopg
import pytest

from cloud.keys.model import Scope
from tests.integration.api_world import DOCUMENT, api, bearer, make_key, world

pytestmark = pytest.mark.database

LAMP = "/gateways/cab-centre-1/devices/lamp-00"


async def test_an_import_read_back_as_an_export_is_the_same_and_imports_as_unchanged(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        exported = (await client.get("/registry")).json()
        again = (await client.post("/registry", json=exported)).json()
        assert (again["created"], again["updated"]) == (0, 0)
        assert again["unchanged"] == sum(map(len, DOCUMENT.values()))
        original = (await client.post("/registry", json=DOCUMENT)).json()
        assert original["changes"] == []
        assert (await client.get("/registry")).json() == exported
        assert {name: len(rows) for name, rows in exported.items()} == {
            name: len(rows) for name, rows in DOCUMENT.items()
        }


async def test_a_dry_run_says_what_would_change_and_changes_nothing(
    migrated_database_url: str,
) -> None:
    changed = copy.deepcopy(DOCUMENT)
    changed["sites"][0]["name"] = "Rue Neuve"
    changed["devices"].append({"gateway": "gate-1", "id": "tail", "kind": "passage"})
    async with world(migrated_database_url) as client:
        before = (await client.get("/registry")).json()
        events = len((await client.get("/audit")).json()["items"])
        answer = await client.post("/registry?dry_run=true", json=changed)
        assert answer.json() == {
            "dry_run": True,
            "created": 1,
            "updated": 1,
            "unchanged": sum(map(len, DOCUMENT.values())) - 1,
            "changes": [
                {"record": "site:pays-haut/centre", "action": "updated", "keys": ["name"]},
                {
                    "record": "device:gate-1/tail",
                    "action": "created",
                    "keys": ["gateway", "id", "kind"],
                },
            ],
        }
        assert (await client.get("/registry")).json() == before
        assert len((await client.get("/audit")).json()["items"]) == events


async def test_every_fault_of_a_document_is_told_at_once_and_nothing_is_written(
    migrated_database_url: str,
) -> None:
    bad: dict[str, Any] = copy.deepcopy(DOCUMENT)
    bad["sites"][0]["latitude"] = "north"
    bad["sites"][1]["hight"] = 3
    bad["gateways"][1]["site"] = "recyclery"
    bad["devices"][0]["profile"] = "eastron-sdm360"
    bad["devices"][1]["index"] = 64
    bad["devices"][2]["kind"] = "feeder"
    bad["groups"][0]["devices"].append("lamp-99")
    bad["groups"][0]["reduced_levels"] = [50, 75]
    bad["facilities"][0]["opening"] = {"monday": []}
    bad["facilities"][0]["tail"] = "cab-gare-1/lamp-00"
    key = await make_key(migrated_database_url, Scope.PROVISION)
    async with api(migrated_database_url, key) as client:
        answer = await client.post("/registry", json=bad)
        assert answer.status_code == 422
        found = {(fault["pointer"], fault["value"]) for fault in answer.json()["errors"]}
        assert found == {
            ("/sites/0/latitude", "north"),
            ("/sites/1/hight", 3),
            ("/gateways/1/site", "pays-haut/recyclery"),
            ("/devices/0/profile", "eastron-sdm360"),
            ("/devices/1/index", 64),
            ("/devices/2/profile", "eclor-luminaire"),
            ("/groups/0/devices", "cab-centre-1/lamp-01"),
            ("/groups/0/devices", "cab-centre-1/lamp-99"),
            ("/groups/0/reduced_levels", "[50.0, 75.0]"),
            ("/facilities/0/opening", "{'monday': ()}"),
            ("/facilities/0/tail", "cab-gare-1/lamp-00"),
        }
        assert all(fault["fault"] for fault in answer.json()["errors"])
        remedies = {fault["pointer"]: fault["remedy"] for fault in answer.json()["errors"]}
        assert remedies["/devices/0/profile"] == "did you mean 'eastron-sdm630'?"
        assert remedies["/gateways/1/site"] == "did you mean 'pays-haut/recyclerie'?"
        assert (await client.get("/registry")).json() == {}


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"sites": 3}', b'{"gardens": []}', b'{"sites": [1]}', b"\xff"]
)
async def test_what_is_no_document_is_refused_with_a_reason(
    migrated_database_url: str, body: bytes
) -> None:
    key = await make_key(migrated_database_url, Scope.PROVISION)
    async with api(migrated_database_url, key) as client:
        answer = await client.post("/registry", content=body)
        assert answer.status_code == 422
        assert answer.json()["errors"]


async def test_a_lamp_of_another_group_is_refused_and_may_move(migrated_database_url: str) -> None:
    taker = {**DOCUMENT["groups"][0], "id": "rue-haute", "devices": ["lamp-02", "lamp-03"]}
    giver = {**DOCUMENT["groups"][0], "devices": ["lamp-00", "lamp-01"]}
    async with world(migrated_database_url) as client:
        refused = await client.post("/registry", json={"groups": [taker]})
        moved = await client.post("/registry", json={"groups": [taker, giver]})
    assert (refused.status_code, moved.status_code) == (422, 200)
    (error,) = refused.json()["errors"]
    assert "lamp-02" in str(error)
    assert "pays-haut/rue-du-centre" in str(error)
    assert "take it out" in str(error)


async def test_not_a_number_is_refused_in_documents_and_bodies(migrated_database_url: str) -> None:
    text = (
        '{"territory":"pays-haut","id":"sud","name":"Sud","kind":"road",'
        '"latitude":%s,"longitude":5}'
    )
    async with world(migrated_database_url) as client:
        for value in ("NaN", "Infinity", "1e999"):
            body = (text % value).encode()
            json_type = {"Content-Type": "application/json"}
            path = "/territories/pays-haut/sites/sud"
            assert (await client.put(path, content=body, headers=json_type)).status_code == 422
            document = b'{"sites":[' + body + b"]}"
            assert (await client.post("/registry", content=document)).status_code == 422


async def test_an_object_is_made_read_replaced_and_deleted(migrated_database_url: str) -> None:
    path = "/gateways/gate-1/devices/tail"
    record = {"gateway": "gate-1", "id": "tail", "kind": "passage"}
    async with world(migrated_database_url) as client:
        assert (await client.get(path)).status_code == 404
        made = await client.put(path, json=record)
        assert (made.status_code, made.json()) == (201, record)
        read = await client.get(path)
        assert read.headers["ETag"] == made.headers["ETag"]
        titled = await client.put(path, json={**record, "title": "Boucle"})
        assert (titled.status_code, titled.json()["title"]) == (200, "Boucle")
        assert (await client.delete(path)).status_code == 204
        assert (await client.get(path)).status_code == 404


async def test_a_lost_update_is_refused(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        first = await client.get(LAMP)
        record = {**first.json(), "title": "Mine"}
        mine = await client.put(LAMP, json=record, headers={"If-Match": first.headers["ETag"]})
        assert mine.status_code == 200
        theirs = {**first.json(), "title": "Theirs"}
        late = await client.put(LAMP, json=theirs, headers={"If-Match": first.headers["ETag"]})
        assert late.status_code == 412
        assert late.json()["type"] == "urn:eclor:problem:changed"
        gone = await client.delete(LAMP, headers={"If-Match": first.headers["ETag"]})
        assert gone.status_code == 412
        assert (await client.get(LAMP)).json()["title"] == "Mine"


async def test_if_none_match_refuses_to_replace_and_saves_reading_twice(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        first = await client.get(LAMP)
        again = await client.put(LAMP, json=first.json(), headers={"If-None-Match": "*"})
        assert again.status_code == 412
        same = await client.get(LAMP, headers={"If-None-Match": first.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert same.headers["ETag"] == first.headers["ETag"]
        assert same.headers["Cache-Control"] == "private, no-cache"


async def test_the_body_must_be_what_the_path_names(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        record = (await client.get(LAMP)).json() | {"id": "lamp-01"}
        assert (await client.put(LAMP, json=record)).status_code == 422


async def test_what_something_needs_cannot_be_deleted(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        for path in ("/territories/pays-haut", "/gateways/gate-1", LAMP):
            answer = await client.delete(path)
            assert answer.status_code == 409
            assert "is needed by" in answer.json()["detail"]
            assert (await client.get(path)).status_code == 200


async def test_a_device_keeps_its_kind_and_a_gateway_its_territory(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        record = {"gateway": "gate-1", "id": "entry", "kind": "light"}
        answer = await client.put("/gateways/gate-1/devices/entry", json=record)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["key"] == "kind"
        moved = {"id": "gate-1", "territory": "val-bas", "site": "gare"}
        answer = await client.put("/gateways/gate-1", json=moved)
        assert answer.status_code == 422
        assert "already" in answer.json()["errors"][0]["fault"]


async def test_a_key_of_a_territory_sees_and_writes_nothing_else(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        key = await make_key(migrated_database_url, Scope.ADMIN, territory="val-bas")
        client.headers.update(bearer(key))
        listed = (await client.get("/gateways")).json()["items"]
        assert [gateway["id"] for gateway in listed] == ["cab-gare-1"]
        export = (await client.get("/registry")).json()
        assert {record["territory"] for record in export["sites"]} == {"val-bas"}
        hidden = (
            "/gateways/cab-centre-1",
            LAMP,
            "/territories/pays-haut",
            "/territories/pays-haut/groups/rue-du-centre",
            "/territories/pays-haut/sites/recyclerie/facilities/recyclerie-nord",
            "/gateways/cab-centre-1/config",
            "/gateways/cab-centre-1/undeclared",
            "/gateways/cab-centre-1/ledger",
            "/registry?territory=pays-haut",
            "/latest?kind=light&gateway=cab-centre-1",
            "/latest?kind=light&territory=pays-haut",
            "/readings?kind=light&gateway=cab-centre-1&from=2026-01-01T00:00:00Z"
            "&to=2026-01-02T00:00:00Z",
        )
        for path in hidden:
            assert (await client.get(path)).status_code == 404, path
        lamp = {"gateway": "cab-centre-1", "id": "lamp-00", "kind": "light", "title": "x"}
        assert (await client.put(LAMP, json=lamp)).status_code == 403
        assert (await client.delete(LAMP)).status_code == 404
        answer = await client.post("/registry", json={"devices": [lamp]})
        assert answer.status_code == 422
        assert "may write territory 'val-bas' only" in answer.json()["errors"][0]["remedy"]
        made = await client.post("/keys", json={"name": "all", "scopes": ["admin"]})
        assert made.status_code == 403
        assert (await client.get("/audit")).status_code == 403


async def test_every_write_is_in_the_audit_record_with_before_and_after(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        record = (await client.get(LAMP)).json()
        await client.put(LAMP, json={**record, "title": "Place"})
        await client.put(LAMP, json={**record, "title": "Place"})  # nothing changes
        answer = await client.get("/audit", params={"object": "device:cab-centre-1/lamp-00"})
        update, creation = answer.json()["items"]
        assert (creation["action"], creation["before"]) == ("created", None)
        assert (update["action"], update["before"]) == ("updated", record)
        assert update["after"] == {**record, "title": "Place"}
        assert update["actor"].startswith("key:")


async def test_lists_are_paged_without_gap_or_repeat(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        names = []
        path = "/devices?limit=2"
        while path:
            answer = await client.get(path)
            names += [f"{d['gateway']}/{d['id']}" for d in answer.json()["items"]]
            link = answer.links.get("next", {}).get("url", "")
            assert bool(link) == (answer.json()["next"] is not None)
            path = link.removeprefix("/api/v1")
        everything = (await client.get("/devices?limit=1000")).json()["items"]
        assert names == [f"{d['gateway']}/{d['id']}" for d in everything]
        assert len(names) == len(DOCUMENT["devices"])
        bad = await client.get("/devices?cursor=xyz")
        assert bad.status_code == 422


async def test_citizens_see_facilities_without_their_detectors(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        client.headers.pop("Authorization")
        answer = await client.get("/facilities")
        assert answer.headers["Cache-Control"].startswith("public")
        (facility,) = answer.json()["items"]
        assert facility["id"] == "recyclerie-nord"
        assert facility["time_zone"] == "Europe/Paris"
        assert not {"entry", "exit", "tail"} & facility.keys()


async def test_a_device_that_sent_before_it_was_declared_is_shown_and_then_declared(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        with psycopg.connect(migrated_database_url, autocommit=True) as conn:
            conn.execute(
                "insert into device (gateway_id, name, kind, provisioned)"
                " select gateway_id, 'lamp-77', 'light', false from gateway where name = 'gate-1'"
            )
        path = "/gateways/gate-1/devices/lamp-77"
        undeclared = await client.get("/gateways/gate-1/undeclared")
        assert undeclared.json()["items"] == [{"id": "lamp-77", "kind": "light"}]
        assert (await client.get(path)).status_code == 404
        record = {"gateway": "gate-1", "id": "lamp-77", "kind": "passage"}
        assert (await client.put(path, json=record)).status_code == 422
        assert (await client.put(path, json=record | {"kind": "light"})).status_code == 201
        assert (await client.get("/gateways/gate-1/undeclared")).json()["items"] == []


async def test_settings_of_a_gateway_that_are_not_the_registrys_survive_a_change(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        with psycopg.connect(migrated_database_url, autocommit=True) as conn:
            conn.execute(
                "update gateway set settings = settings || '{\"enrolled\": true}'"
                " where name = 'gate-1'"
            )
            record = (await client.get("/gateways/gate-1")).json()
            assert "enrolled" not in record
            await client.put("/gateways/gate-1", json=record | {"outbox_max_bytes": 20_000_000})
            row = conn.execute("select settings from gateway where name = 'gate-1'").fetchone()
        assert row is not None
        assert row[0]["enrolled"] is True
        assert row[0]["outbox_max_bytes"] == 20_000_000
