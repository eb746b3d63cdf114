"""Every route with no key, with every wrong scope and with the right one: none is ever open."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from cloud.api.app import create_app
from cloud.keys import store
from cloud.keys.model import Scope
from cloud.settings import Settings
from protocols import wire
from protocols.batch import Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs, from_datetime, to_datetime
from tests.integration.api_world import DOCUMENT, api, bearer, make_key, world
from tests.lighting_cases import RULE, SEGMENT

PUBLIC = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/v1/facilities"),
    ("GET", "/api/v1/facilities/{facility}/wait"),
    ("GET", "/api/v1/facilities/{facility}/wait/accuracy"),
    ("GET", "/api/v1/facilities/{facility}/wait/forecast"),
    ("GET", "/api/v1/facilities/{facility}/wait/history"),
    ("GET", "/api/v1/facilities/{facility}/wait/stream"),
    ("GET", "/api/v1/waits"),
}
"""Routes without a key. A new one is a decision: write it here."""

NAMES = {
    "territory": "pays-haut",
    "site": "recyclerie",
    "gateway": "cab-centre-1",
    "device": "lamp-03",
    "group": "rue-du-centre",
    "facility": "recyclerie-nord",
    "key_id": "000000000000",
    "rule": "1",
    "override": "1",
    "exception": "1",
    "change": "1",
}
LATE = {
    # Asked of objects that the world's document has but nothing else needs; or that lack by nature.
    ("DELETE", "/api/v1/territories/{territory}"): 409,
    ("DELETE", "/api/v1/territories/{territory}/sites/{site}"): 409,
    ("DELETE", "/api/v1/gateways/{gateway}"): 409,
    ("DELETE", "/api/v1/keys/{key_id}"): 404,
    ("GET", "/api/v1/lighting/groups/{group}/plan"): 404,
    ("GET", "/api/v1/lighting/groups/{group}/explanation"): 404,
    ("GET", "/api/v1/lighting/groups/{group}/programs"): 404,
    ("GET", "/api/v1/lighting/groups/{group}/segment"): 404,
}
"""Where the right scope is let in but the object says no: the status it says it with."""


def _deleting_last(operation: "Operation") -> tuple[bool, bool, int]:
    """What belongs to an object is deleted before the object."""
    registry = operation.path.startswith(("/api/v1/territories", "/api/v1/gateways"))
    return operation.method == "DELETE", registry, -len(operation.path)


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    scope: Scope | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations() -> list[Operation]:
    """Every operation of the OpenAPI document with the scope that it declares."""
    found = []
    for path, methods in create_app(Settings()).openapi()["paths"].items():
        for method, operation in methods.items():
            scopes = [s for entry in operation.get("security", []) for s in entry["key"]]
            scope = Scope(scopes[0]) if scopes else None
            found.append(Operation(method.upper(), path, scope))
    return found


def guarded() -> list[Operation]:
    return [operation for operation in operations() if operation.scope is not None]


def request_of(operation: Operation) -> dict[str, Any]:
    """A request that this operation would accept."""
    path = operation.path.format(**NAMES)
    kwargs: dict[str, Any] = {"url": f"http://api{path}"}
    match operation.method, operation.path.removeprefix("/api/v1"):
        case "GET", "/latest":
            kwargs["params"] = {"kind": "light"}
        case "GET", "/energy":
            kwargs["params"] = {"by": "group", "from": "2026-01-01", "to": "2026-02-01"}
        case "GET", "/readings" | "/export/readings":
            span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
            kwargs["params"] = {"kind": "light", "gateway": NAMES["gateway"], **span}
        case "POST", "/registry":
            kwargs["json"] = DOCUMENT
        case "POST", "/keys":
            kwargs["json"] = {"name": "another", "scopes": ["read"]}
        case "POST", "/api/v2/write":
            kwargs["params"] = {"bucket": NAMES["gateway"], "precision": "s"}
            kwargs["content"] = b"weather,device=roof temperature=21.5"
        case "POST", "/batches":
            kwargs["content"] = batch()
            kwargs["headers"] = {"Content-Type": "application/x-protobuf"}
        case "POST", "/lighting/groups/{group}/rules":
            kwargs["json"] = RULE
        case "POST", "/lighting/groups/{group}/overrides":
            until = datetime.now(UTC) + timedelta(hours=2)
            kwargs["json"] = {"level_pct": 100, "until": until.isoformat(), "reason": "test"}
        case "POST", "/facilities/{facility}/exceptions":
            until = datetime.now(UTC) + timedelta(hours=2)
            kwargs["json"] = {"kind": "closed", "until": until.isoformat(), "reason": "test"}
        case "POST", "/facilities/{facility}/capacity":
            kwargs["json"] = {"bays": 3, "reason": "test"}
        case "PUT", "/lighting/groups/{group}/segment":
            kwargs["json"] = SEGMENT
        case "PUT", _:
            kwargs["json"] = record_of(operation.path)
    return kwargs


def record_of(path: str) -> dict[str, Any]:
    """The record of DOCUMENT that a path with NAMES leads to."""
    section, name = path.split("/")[-2:]
    wanted = NAMES[name.strip("{}")]
    owner = NAMES["gateway"]
    return next(
        record
        for record in DOCUMENT[section]
        if record["id"] == wanted and record.get("gateway", owner) == owner
    )


def batch() -> bytes:
    """One row of a device of the world."""
    t_us = TimeUs(1_767_225_600_000_000)
    rows = [reading(Kind.LIGHT, DeviceId("lamp-00"), t_us, window_s=60, level_pct=70.0)]
    stream = Stream(GatewayId(NAMES["gateway"]), Epoch(uuid.UUID(int=7)), Lane.LIVE)
    return wire.encode(stream, 1, rows, created_us=t_us, rows_before=0)


async def send(client: httpx.AsyncClient, operation: Operation, key: str | None) -> httpx.Response:
    kwargs = request_of(operation)
    headers = kwargs.pop("headers", {}) | bearer(key)
    return await client.request(operation.method, **kwargs, headers=headers)


def test_only_the_listed_routes_are_public() -> None:
    public = {(op.method, op.path) for op in operations() if op.scope is None}
    assert public == PUBLIC


def test_no_writing_route_is_public() -> None:
    assert {op.method for op in operations() if op.scope is None} == {"GET"}


def test_every_route_is_in_the_openapi_document() -> None:
    """A route hidden from the document would escape the tests of this module."""
    app = create_app(Settings())
    hidden = [
        route
        for router in app.routes
        for route in getattr(router, "routes", [router])
        if getattr(route, "include_in_schema", True) is False
    ]
    assert [getattr(route, "path", "") for route in hidden] == ["/api/v1/openapi.json"]


@pytest.mark.database
async def test_without_a_key_every_guarded_route_answers_401(migrated_database_url: str) -> None:
    async with api(migrated_database_url) as client:
        for operation in guarded():
            answer = await send(client, operation, None)
            assert answer.status_code == 401, str(operation)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            foreign = operation.path.startswith("/api/v2/")  # InfluxDB's own form of an error
            wanted = "application/json" if foreign else "application/problem+json"
            assert answer.headers["Content-Type"] == wanted


@pytest.mark.database
@pytest.mark.parametrize("held", list(Scope))
async def test_a_key_of_another_scope_gets_403_and_the_right_one_is_let_in(
    migrated_database_url: str, held: Scope
) -> None:
    async with world(migrated_database_url) as client:
        key = await make_key(migrated_database_url, held)
        lets_in = {
            Scope.READ: {Scope.READ},
            Scope.INGEST: {Scope.INGEST},
            Scope.PROVISION: {Scope.PROVISION, Scope.READ},
            Scope.LIGHTING: {Scope.LIGHTING, Scope.READ},
            Scope.WAITING: {Scope.WAITING, Scope.READ},
            Scope.ADMIN: set(Scope),
        }[held]
        # Deleting comes last, so that the other operations find their objects.
        for operation in sorted(guarded(), key=_deleting_last):
            answer = await send(client, operation, key)
            if operation.scope not in lets_in:
                assert answer.status_code == 403, f"{operation}: {answer.text}"
            else:
                wanted = LATE.get((operation.method, operation.path))
                said = f"{operation}: {answer.status_code} {answer.text}"
                assert answer.status_code == wanted or (wanted is None and answer.is_success), said


@pytest.mark.database
async def test_wrong_expired_and_revoked_keys_are_refused_alike(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        good = await make_key(migrated_database_url, Scope.READ)
        key_id = good.split("_")[1]
        answer = await client.get("/territories", headers=bearer(good))
        assert answer.status_code == 200
        swapped = good[:-1] + ("A" if good[-1] != "A" else "B")
        for bad in (swapped, "eck_000000000000_" + "A" * 43, "nonsense", good + "x"):
            answer = await client.get("/territories", headers=bearer(bad))
            assert answer.status_code == 401
            assert "unknown, expired or revoked" in answer.json()["detail"]
        assert (await client.delete(f"/keys/{key_id}")).status_code == 204
        answer = await client.get("/territories", headers=bearer(good))
        assert answer.status_code == 401


@pytest.mark.database
async def test_a_key_expires_at_its_moment(migrated_database_url: str) -> None:
    expiry = datetime(2026, 6, 1, tzinfo=UTC)
    conn = await psycopg.AsyncConnection.connect(migrated_database_url, autocommit=True)
    async with conn:
        key = await store.create(
            conn,
            name="short",
            scopes=(Scope.READ,),
            territory=None,
            expires_at=expiry,
            actor="console",
        )
        before = to_datetime(from_datetime(expiry) - 1)
        assert await store.authenticate(conn, key.text, now=before) is not None
        assert await store.authenticate(conn, key.text, now=expiry) is None


@pytest.mark.database
async def test_the_secret_of_a_key_is_nowhere_in_the_database(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        made = (await client.post("/keys", json={"name": "portal", "scopes": ["read"]})).json()
        listed = await client.get("/keys")
    secret = made["key"].split("_", 2)[2]
    with psycopg.connect(migrated_database_url) as conn:
        rows = conn.execute(
            "select k::text from api_key k union all select a::text from audit_event a"
        )
        text = "\n".join(row[0] for row in rows)
    assert made["key_id"] in text
    assert secret not in text
    assert secret not in listed.text


@pytest.mark.database
@pytest.mark.parametrize("held", list(Scope))
async def test_a_key_of_another_territory_finds_nothing_and_changes_nothing(
    migrated_database_url: str, held: Scope
) -> None:
    """Every route the scope is let into, asked for objects of Pays-Haut with a key of Val-Bas."""
    async with world(migrated_database_url) as client:
        answer = await client.post(
            "/batches", content=batch(), headers={"Content-Type": "application/x-protobuf"}
        )
        assert answer.is_success
        before = (await client.get("/registry")).content
        key = await make_key(migrated_database_url, held, territory="val-bas")
        for operation in guarded():
            answer = await send(client, operation, key)
            if answer.status_code == 403:
                continue
            said = f"{operation}: {answer.status_code} {answer.text}"
            if "{" in operation.path or operation.method in ("PUT", "DELETE"):
                assert answer.status_code == 404, said
            elif operation.method == "GET":
                assert answer.status_code in (200, 404), said
                told = answer.text if answer.is_success else ""  # an error repeats what was asked
                assert "pays-haut" not in told, said
                assert "cab-centre-1" not in told, said
            else:
                assert (operation.path, answer.status_code) in REFUSED_ABROAD, said
        assert (await client.get("/registry")).content == before
        latest = (await client.get("/latest?kind=sample")).json()["items"]
        assert latest == []


REFUSED_ABROAD = {
    ("/api/v1/registry", 422),  # the document holds another territory: its faults say so
    ("/api/v1/keys", 201),  # a key made by a bound key is bound alike, see the keys' tests
    ("/api/v2/write", 404),
}
"""What a writing route without a name in its path says to a key of another territory."""
