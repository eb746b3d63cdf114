"""Every error is a problem document, and every body has its bound."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from cloud.api.app import create_app
from cloud.api.limits import MAX_BODY_BYTES
from cloud.keys.model import Scope
from cloud.settings import Api, Database, Settings
from protocols.wire import MAX_PAYLOAD_BYTES
from tests.integration.api_world import api, bearer, make_key, world

PROTOBUF = {"Content-Type": "application/x-protobuf"}


@pytest.mark.database
@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/gateways/nobody", 404, "not-found"),
        ("PATCH", "/gateways/nobody", 405, "method-not-allowed"),
        ("GET", "/latest", 422, "invalid"),
        ("GET", "/latest?kind=moon", 422, "invalid"),
        ("GET", "/devices?limit=0", 422, "invalid"),
        ("GET", "/readings?kind=light&gateway=g&from=2026-01-01&to=now", 422, "invalid"),
        ("GET", "/latest?kind=light&gateway=%00", 422, "invalid"),
        ("GET", "/energy?by=group&name=%00&from=2026-01-01&to=2026-02-01", 422, "invalid"),
        ("PUT", "/territories/pays-haut", 422, "invalid"),
        ("POST", "/batches", 415, "unsupported-media-type"),
    ],
)
async def test_errors_are_problem_documents(
    migrated_database_url: str, method: str, path: str, status: int, slug: str
) -> None:
    async with world(migrated_database_url) as client:
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Cache-Control"] == "no-store"
        problem = answer.json()
        assert problem["type"] == f"urn:eclor:problem:{slug}"
        assert problem["status"] == status
        assert problem["instance"] == f"/api/v1{path.split('?')[0]}"
        assert problem["detail"]


@pytest.mark.database
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 100_000,
        b'{"id": "pays-haut", "name": "P", "colour": "red"}',
        b'{"id": "pays-haut", "name": 7}',
        b'{"id": "pays-haut"}',
        b'{"id": "pays-haut", "name": ""}',
        b'{"id": "pays-haut", "name": "line\\nbreak"}',
        b'{"id": "pays-haut", "name": "P", "time_zone": "Europe/Nowhere"}',
        b"null",
    ],
)
async def test_bodies_are_strict(migrated_database_url: str, body: bytes) -> None:
    async with world(migrated_database_url) as client:
        headers = {"Content-Type": "application/json"}
        answer = await client.put("/territories/pays-haut", content=body, headers=headers)
        assert answer.status_code in (400, 422)
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.database
@pytest.mark.parametrize(
    ("path", "bound"), [("/keys", MAX_BODY_BYTES), ("/batches", MAX_PAYLOAD_BYTES)]
)
async def test_a_body_beyond_its_bound_is_refused_declared_or_not(
    migrated_database_url: str, path: str, bound: int
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(bound // 65_536 + 1):
            yield b" " * 65_536

    async with world(migrated_database_url) as client:
        declared = await client.post(path, content=b" " * (bound + 1), headers=PROTOBUF)
        streamed = await client.post(path, content=pieces(), headers=PROTOBUF)
        for answer in (declared, streamed):
            assert answer.status_code == 413
            assert answer.json()["type"] == "urn:eclor:problem:too-long"


async def test_with_the_database_away_the_api_starts_and_answers_503(unused_port: int) -> None:
    settings = Settings(
        database=Database(url=f"postgresql://eclor@127.0.0.1:{unused_port}/eclor"),
        api=Api(statement_timeout_s=0.2),
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            assert (await client.get("/healthz")).status_code == 204
            ready = await client.get("/readyz")
            answer = await client.get("/api/v1/waits")
    assert ready.status_code == 503
    assert ready.json() == {"ready": False, "missing": ["database"]}
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.json()["type"] == "urn:eclor:problem:unavailable"


@pytest.mark.database
async def test_health_is_public_and_says_nothing_more(migrated_database_url: str) -> None:
    async with api(migrated_database_url) as client:
        answer = await client.get("http://api/healthz")
        assert (answer.status_code, answer.content) == (204, b"")
        answer = await client.get("http://api/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True, "missing": []})


@pytest.mark.database
async def test_two_writers_of_one_object_leave_one_of_them_informed(
    migrated_database_url: str,
) -> None:
    """Both hold the same tag; the lock makes the second see what the first has written."""
    async with world(migrated_database_url) as client:
        path = "/territories/pays-haut"
        first = await client.get(path)
        tag = {"If-Match": first.headers["ETag"]}
        answers = await asyncio.gather(
            *(
                client.put(path, json={**first.json(), "name": f"name {n}"}, headers=tag)
                for n in range(4)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


@pytest.mark.database
async def test_the_openapi_document_is_complete(migrated_database_url: str) -> None:
    key = await make_key(migrated_database_url, Scope.READ)
    async with api(migrated_database_url) as client:
        document = (await client.get("/openapi.json", headers=bearer(key))).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert operation["tags"], where
            problem = operation["responses"]["default"]["content"]
            assert "application/problem+json" in problem, where
    assert "HTTPValidationError" not in document["components"]["schemas"]
