"""The page as a browser gets it, on a real database."""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from html.parser import HTMLParser
from types import SimpleNamespace

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

from cloud.clock import ManualClock
from cloud.portal import routes
from cloud.waiting.estimator import Estimator
from protocols.time import US_PER_S
from tests.integration.seeded_territory import (
    BASELINE,
    LAMPS,
    NOW,
    NOW_US,
    feeder_energy,
    lamp_rows,
    seed,
)
from tests.integration.waiting_web import BUSY, morning

VOID = {"meta", "link", "path", "rect", "br"}


class Balance(HTMLParser):
    """Every element that opens also closes, ids are unique, headings do not skip a level."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated_database_url, autocommit=True) as found:
        yield found


@pytest.fixture
async def web(
    migrated_database_url: str, conn: psycopg.Connection
) -> AsyncIterator[SimpleNamespace]:
    app = FastAPI()
    app.include_router(routes.router)
    clock = ManualClock(NOW_US)
    async with AsyncConnectionPool(
        migrated_database_url, min_size=1, kwargs={"autocommit": True}, open=False
    ) as pool:
        app.state.pool, app.state.clock = pool, clock
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield SimpleNamespace(client=client, clock=clock, pool=pool)


async def _fill(conn: psycopg.Connection, web: SimpleNamespace) -> None:
    ids = seed(conn)
    morning(conn, ids, **BUSY)
    lamps = [ids[f"centre/lamp-{i:02d}"] for i in range(LAMPS)]
    day = [(NOW - timedelta(minutes=15 * i + 1), 75.0, 30.0) for i in range(96)]
    lamp_rows(conn, lamps, day)
    start = NOW - timedelta(days=2)
    feeder_energy(
        conn, ids["centre/feeder"], [(start + timedelta(minutes=5 * i), 5 * i) for i in range(576)]
    )
    conn.execute(
        "insert into batch_ledger values (%s, gen_random_uuid(), 1, 1, '\\x00', 1200, 0, 'stored',"
        " 1200, %s, %s)",
        (ids["gateway:centre"], NOW - timedelta(seconds=2), NOW - timedelta(seconds=1)),
    )
    async with web.pool.connection() as writer:
        await Estimator().run(writer, NOW_US)


async def test_the_page_shows_waits_lights_energy_and_ledger_without_a_script(
    conn: psycopg.Connection, web: SimpleNamespace
) -> None:
    await _fill(conn, web)
    answer = await web.client.get("/")
    text = answer.text
    assert answer.status_code == 200
    assert '<html lang="fr">' in text
    for part in (
        "moins de 30 min",
        "mesuré à 10:30",
        "75\u00a0%",
        "120\u00a0W",
        BASELINE,
        "1\u202f200",
    ):
        assert part in text, part
    assert "1,0\u00a0s" in text


async def test_the_page_is_well_formed_with_headings_in_order(
    conn: psycopg.Connection, web: SimpleNamespace
) -> None:
    await _fill(conn, web)
    found = Balance()
    found.feed((await web.client.get("/")).text)
    assert found.open == []
    assert len(set(found.ids)) == len(found.ids)
    assert found.headings[0] == 1
    steps = zip(found.headings, found.headings[1:], strict=False)
    assert all(after - before <= 1 for before, after in steps)


async def test_first_view_stays_within_fifty_kilobytes_and_eight_requests(
    conn: psycopg.Connection, web: SimpleNamespace
) -> None:
    await _fill(conn, web)
    page = await web.client.get("/")
    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    assert len(files) == 3
    parts = [await web.client.get(path) for path in files]
    assert all(part.status_code == 200 for part in parts)
    assert all("immutable" in part.headers["cache-control"] for part in parts)
    assert len(page.content) + sum(len(part.content) for part in parts) <= 50 * 1024


async def test_nothing_inline_and_nothing_foreign_is_allowed_to_run(web: SimpleNamespace) -> None:
    answer = await web.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "style=" not in answer.text
    assert re.findall(r"<script(?![^>]*src=)", answer.text) == []
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "language", "word"),
    [
        ("de", "de", "Straßenbeleuchtung"),
        ("en", "en", "Street lighting"),
        ("xx", "fr", "Éclairage"),
    ],
)
async def test_the_language_is_chosen_by_the_address(
    web: SimpleNamespace, asked: str, language: str, word: str
) -> None:
    answer = await web.client.get("/", params={"lang": asked})
    assert f'<html lang="{language}">' in answer.text
    assert word in answer.text
    assert answer.headers["content-language"] == language


async def test_an_empty_registry_gives_an_honest_page(web: SimpleNamespace) -> None:
    answer = await web.client.get("/")
    assert answer.status_code == 200
    assert "Aucune déchèterie" in answer.text


async def test_the_changing_part_is_sent_only_when_it_changed(
    conn: psycopg.Connection, web: SimpleNamespace
) -> None:
    await _fill(conn, web)
    first = await web.client.get("/live")
    again = await web.client.get("/live", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    web.clock.advance_us(700 * US_PER_S)
    later = await web.client.get("/live", headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200
    assert "Attente inconnue" in later.text


async def test_names_from_the_registry_are_escaped(
    conn: psycopg.Connection, web: SimpleNamespace
) -> None:
    await _fill(conn, web)
    conn.execute("update facility set name = '<script>alert(1)</script>'")
    web.clock.advance_us(10 * US_PER_S)
    text = (await web.client.get("/")).text
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text


async def test_a_static_file_of_another_version_is_not_found(web: SimpleNamespace) -> None:
    assert (await web.client.get("/static/000000000000/portal.css")).status_code == 404
    assert (await web.client.get("/static/000000000000/..%2Froutes.py")).status_code == 404
