"""From rows of three counters to the public answer, on a real database."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from cloud.waiting import evidence, learner, record, scoring
from cloud.waiting.estimator import Estimator
from cloud.waiting.feed import WaitFeed
from protocols.time import US_PER_S
from tests.integration.seeded_territory import NOW, NOW_US, samples
from tests.integration.waiting_site import OPENED, past, write
from tests.integration.waiting_web import (
    BUSY,
    PATH,
    QUIET,
    answered,
    estimated,
    morning,
    waiting_web,
)
from tests.waiting_cases import play


@pytest.fixture(scope="module")
def lessons() -> dict[int, Any]:
    """What was learned, by the number of past openings: they are the same in all tests here."""
    return {}


@pytest.fixture(autouse=True)
def learned_once(monkeypatch: pytest.MonkeyPatch, lessons: dict[int, Any]) -> None:
    monkeypatch.setattr(evidence, "TRIAL_STEPS", 300)
    taught = learner._lesson

    def remembered(facility: Any, calendar: Any, past: Any, now_us: Any) -> Any:
        if len(past) not in lessons:
            lessons[len(past)] = taught(facility, calendar, past, now_us)
        return lessons[len(past)]

    async def here(work: Any, *args: Any) -> Any:
        return work(*args)

    monkeypatch.setattr(learner, "_lesson", remembered)
    monkeypatch.setattr(learner, "apart", here)


@pytest.fixture
async def web(migrated_database_url: str, ids: dict[str, int]) -> AsyncIterator[SimpleNamespace]:
    async with waiting_web(migrated_database_url) as found:
        yield found


async def test_ten_cars_before_six_bays_are_a_long_wait_that_is_measured(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    assert await estimated(web) == {"A": 1}
    answer = await web.client.get(PATH)
    body = answer.json()
    assert answer.headers["cache-control"] == "public, max-age=30"
    assert (body["status"], body["situation"], body["basis"]) == ("open", "A", "measured")
    assert 10 < body["wait_minutes"]["p50"] < 60
    assert body["wait_minutes"]["p50"] < body["wait_minutes"]["p80"] < body["wait_minutes"]["p95"]
    assert body["wait_minutes"]["p80"] <= body["below_minutes"]
    assert 5 <= body["people_ahead"]["p50"] <= body["people_ahead"]["p80"] <= 15
    assert body["in_site"] in (5, 6, 7)
    assert body["age_s"] == 0
    assert body["message"]["fr"] in (f"moins de {body['below_minutes']} min", "plus d’une heure")


async def test_a_queue_that_reaches_beyond_its_counter_is_told_as_more_than(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    conn.execute("update facility set tail_reach = 5")
    morning(conn, ids, **BUSY)
    await estimated(web)
    body = await answered(web)
    assert (body["wait_minutes"], body["below_minutes"], body["people_ahead"]) == (None,) * 3
    assert body["at_least_minutes"] > 5
    assert body["message"]["fr"] == f"plus de {body['at_least_minutes']} min"
    assert (body["confidence"], body["basis"], body["level"]) == ("low", "measured", "busy")
    assert (body["last_admission_before_close"], body["p_admitted_if_leave_now"]) == (None, None)
    conn.execute(
        "insert into passage_hour (device_id, t, rows, covered_s, quality, forward_count)"
        " values (%s, %s, 60, 3600, 0, 40)",
        (ids["dechetterie/entry"], NOW.replace(minute=0)),
    )
    web.clock.advance_us(60 * US_PER_S)
    (hour,) = (await answered(web, f"{PATH}/history"))["items"]
    assert (hour["visitors"], hour["p50"]) == (40, None)


async def test_an_empty_site_has_no_wait_and_says_so_in_three_languages(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **QUIET)
    await estimated(web)
    body = await answered(web)
    assert body["wait_minutes"] == {"p50": 0.0, "p80": 0.0, "p95": 0.0}
    assert body["below_minutes"] == 0
    assert body["message_key"] == "none"
    assert body["message"] == {"fr": "Pas d’attente", "de": "Keine Wartezeit", "en": "No wait"}


async def test_the_same_half_minute_has_the_same_tag_and_is_not_sent_again(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    web.clock.advance_us(1 * US_PER_S)
    first = await web.client.get(PATH)
    web.clock.advance_us(20 * US_PER_S)
    second = await web.client.get(PATH, headers={"If-None-Match": first.headers["etag"]})
    assert second.status_code == 304


async def test_counts_older_than_ten_minutes_give_null_and_what_is_usual(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    past(conn, ids)
    async with web.pool.connection() as writer:
        assert await learner.learn_due(writer, NOW_US) == 1
    morning(conn, ids, **BUSY)
    await estimated(web)
    web.clock.advance_us(601 * US_PER_S)
    body = await answered(web)
    assert (body["status"], body["basis"], body["confidence"]) == ("unknown", "typical", "none")
    assert body["wait_minutes"] is None
    assert body["people_ahead"] is None
    assert body["age_s"] is None
    assert body["typical_minutes"]["p50"] <= body["typical_minutes"]["p80"]
    assert body["message_key"] == "unknown"


async def test_what_another_version_learned_is_learned_anew_and_not_believed_until_then(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    past(conn, ids)
    conn.execute(
        "insert into wait_model (facility_id, learned_at, openings, document)"
        " select facility_id, now(), 40, '{\"version\": 0}' from facility"
    )
    morning(conn, ids, entry=BUSY["entry"], exit=BUSY["exit"])
    await estimated(web)
    assert (await answered(web))["wait_minutes"] is None
    async with web.pool.connection() as writer:
        assert await learner.learn_due(writer, NOW_US) == 1


async def test_first_guesses_that_staff_changes_hold_at_once(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    before = await answered(web)
    conn.execute("update facility set mean_service_s = 2 * mean_service_s")
    conn.execute("delete from wait_estimate")
    await estimated(web)
    assert (await answered(web))["wait_minutes"]["p50"] > 1.3 * before["wait_minutes"]["p50"]


async def test_without_a_profile_stale_counts_give_nothing_at_all(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    web.clock.advance_us(601 * US_PER_S)
    body = await answered(web)
    assert (body["status"], body["basis"]) == ("unknown", "none")
    assert (body["wait_minutes"], body["typical_minutes"], body["level"]) == (None, None, None)


async def test_a_closed_site_has_no_wait_and_says_when_it_opens(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    web.clock.advance_us(100 * 60 * US_PER_S)
    assert await estimated(web) == {}
    body = await answered(web)
    assert (body["status"], body["wait_minutes"], body["message_key"]) == ("closed", None, "closed")
    assert body["opens_at"].startswith("2026-11-21T13:00")


async def test_detectors_that_fail_degrade_a_to_b_to_c_to_unknown(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    past(conn, ids)
    async with web.pool.connection() as writer:
        await learner.learn_due(writer, NOW_US)
    morning(conn, ids, **BUSY)
    found = []
    for n, gate in enumerate((None, "tail", "exit", "entry")):
        if gate is not None:
            device = ids[f"dechetterie/{gate}"]
            conn.execute("update latest_passage set status = 1 where device_id = %s", (device,))
        web.clock.advance_us(n * US_PER_S)
        conn.execute("delete from wait_estimate")
        await estimated(web)
        body = await answered(web)
        minutes_told = body["wait_minutes"] is not None
        found.append((body["situation"], body["basis"], minutes_told, body["confidence"]))
    assert [one[:3] for one in found] == [
        ("A", "measured", True),
        ("B", "inferred", True),
        ("C", "inferred", False),
        ("none", "typical", False),
    ]
    assert [one[3] for one in found][1:] == ["low", "low", "none"]
    level = (await answered(web))["level"]
    assert level in ("calm", "normal", "busy")


async def test_without_a_profile_a_queue_that_no_detector_sees_gives_no_minutes(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, entry=BUSY["entry"], exit=BUSY["exit"])
    await estimated(web)
    body = await answered(web)
    assert (body["situation"], body["wait_minutes"], body["basis"]) == ("B", None, "none")


async def test_an_exit_that_counts_nothing_is_done_without(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **{**BUSY, "exit": [0] * 90})
    assert await estimated(web) == {"C": 1}


async def test_late_minutes_from_a_checkpoint_are_the_same_as_minutes_in_order(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    """Live first, the outage after it; also by a process that has only the checkpoints."""
    one = play(1, seed=4)[0]
    write(conn, ids, OPENED, one, steps=90)
    hole = (
        ids["dechetterie/entry"],
        OPENED + timedelta(minutes=70),
        OPENED + timedelta(minutes=86),
    )
    conn.execute("create temp table held as select * from passage_reading limit 0")
    conn.execute(
        "with gone as (delete from passage_reading where device_id = %s and t >= %s and t < %s"
        " returning *) insert into held select * from gone",
        hole,
    )
    await estimated(web)
    holed = await answered(web)
    conn.execute("insert into passage_reading select * from held")
    conn.execute("delete from wait_estimate")
    await estimated(web)
    late = await answered(web)
    conn.execute("delete from wait_estimate")
    conn.execute("delete from wait_checkpoint")
    web.estimator = Estimator()
    await estimated(web)
    in_order = await answered(web)
    assert late["wait_minutes"] == in_order["wait_minutes"]
    assert holed["wait_minutes"] != in_order["wait_minutes"]
    conn.execute("delete from wait_estimate")
    web.estimator = Estimator()
    reads: list[int] = []
    web.estimator._compute = _watched(web.estimator, reads)
    await estimated(web)
    assert reads == [0]
    web.clock.advance_us(60 * US_PER_S)
    conn.execute("delete from wait_estimate")
    await estimated(web)
    again = await answered(web)
    assert again["wait_minutes"] == in_order["wait_minutes"]


def _watched(estimator: Estimator, reads: list[int]) -> Any:
    compute = estimator._compute

    def watched(sites: Any, *rest: Any) -> Any:
        reads.extend(estimator._first(site) for site in sites)
        return compute(sites, *rest)

    return watched


async def test_what_was_shown_first_stays_in_the_record(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    await estimated(web)
    assert conn.execute("select count(*), max(t) from wait_estimate").fetchone() == (1, NOW)
    kept = conn.execute("select count(*), max(step) from wait_checkpoint").fetchone()
    assert kept == (10, 90)


async def test_counts_that_come_back_are_shown_at_once(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    """While nothing was known this minute was kept as unknown; the counts are of the one before."""
    assert await estimated(web) == {"none": 1}
    morning(conn, ids, **{gate: cars[:-1] for gate, cars in BUSY.items()})
    web.clock.advance_us(10 * US_PER_S)
    assert await estimated(web) == {"A": 1}
    body = await answered(web)
    assert (body["situation"], body["age_s"]) == ("A", 90)
    device = ids["dechetterie/entry"]
    conn.execute("update latest_passage set status = 1 where device_id = %s", (device,))
    web.clock.advance_us(10 * US_PER_S)
    assert await estimated(web) == {"none": 1}
    assert (await answered(web))["wait_minutes"] is None


async def test_bad_opening_hours_are_logged_and_stop_nobody_else(
    conn: psycopg.Connection,
    ids: dict[str, int],
    web: SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s, opening)"
        " values (%s, 'autre', 'Autre', 2, 600, '{\"lundi\": []}')",
        (ids["site:dechetterie"],),
    )
    morning(conn, ids, **BUSY)
    with caplog.at_level(logging.ERROR, logger="eclor.waiting"):
        assert await estimated(web) == {"A": 1}
    assert "opening_hours_refused" in caplog.text


async def test_a_forecast_runs_to_closing_and_names_the_best_times(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    past(conn, ids)
    async with web.pool.connection() as writer:
        assert await learner.learn_due(writer, NOW_US) == 1
        assert await learner.learn_due(writer, NOW_US) == 0
    morning(conn, ids, **BUSY)
    await estimated(web)
    found = await answered(web, f"{PATH}/forecast")
    times = [item["t"] for item in found["items"]]
    # nobody was ever counted in an afternoon: of that nothing is known
    assert (times[0], times[-1]) == ("2026-11-21T09:30:00Z", "2026-11-21T10:45:00Z")
    assert [item["live"] for item in found["items"]].count(True) == 6
    assert all(
        0 <= item["p50"] <= item["p80"] <= item["p95"] and 0 <= item["p_admitted"] <= 1
        for item in found["items"]
    )
    assert found["items"][0]["p80"] > found["items"][-1]["p80"]  # ten cars now
    assert 1 <= len(found["best_slots"]) <= 3
    week = await answered(web, f"{PATH}/forecast", to="2026-11-28T00:00:00Z", step=60)
    assert 2 * 6 <= len(week["items"]) < len(times) * 5
    bad = await web.client.get(f"{PATH}/forecast", params={"to": "2026-12-28T00:00:00Z"})
    assert bad.status_code == 422
    on_the_way = await answered(web, travel_min=20)
    now = await answered(web)
    assert on_the_way["wait_minutes"] != now["wait_minutes"]
    assert 0 < on_the_way["p_admitted_if_leave_now"] <= 1
    too_late = await answered(web, travel_min=120)
    assert (too_late["wait_minutes"], too_late["p_admitted_if_leave_now"]) == (None, 0.0)


async def test_what_was_shown_is_scored_once_when_the_truth_is_known(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    one = play(1, seed=9)[0]
    write(conn, ids, OPENED, one, steps=90)
    await estimated(web)
    async with web.pool.connection() as writer:
        assert await scoring.score_pending(writer, web.clock.now_us()) == 0
    write(conn, ids, OPENED, one, first=90)
    web.clock.advance_us(3 * 3600 * US_PER_S)
    async with web.pool.connection() as writer:
        assert await scoring.score_pending(writer, web.clock.now_us()) == 1
        assert await scoring.score_pending(writer, web.clock.now_us()) == 0
    found = await answered(web, f"{PATH}/accuracy")
    assert found["total"]["n"] == 1
    assert found["total"]["mae_min"] >= 0
    assert found["by_situation"][0]["situation"] == "A"
    assert found["by_day"][0]["day"] == "2026-11-21"
    web.clock.advance_us(86_400 * US_PER_S)
    later = await answered(web, f"{PATH}/accuracy", days=1)
    assert (later["total"], later["by_day"]) == (None, [])


async def test_hours_with_few_visitors_are_suppressed(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    web.clock.advance_us(60 * US_PER_S)
    conn.execute(
        "insert into passage_hour (device_id, t, rows, covered_s, quality, forward_count)"
        " values (%s, %s, 60, 3600, 0, 4)",
        (ids["dechetterie/entry"], NOW.replace(minute=0)),
    )
    few = await answered(web, f"{PATH}/history")
    assert [(i["visitors"], i["p50"], i["p80"]) for i in few["items"]] == [(None, None, None)]
    conn.execute("update passage_hour set forward_count = 5")
    (item,) = (await answered(web, f"{PATH}/history"))["items"]
    assert item["visitors"] == 5
    assert item["p80"] > 0


async def test_facilities_are_found_by_short_and_full_names(web: SimpleNamespace) -> None:
    for name in ("dechetterie", "dechetterie.dechetterie", "alzette.dechetterie.dechetterie"):
        await answered(web, f"/api/v1/facilities/{name}/wait")
    missing = await web.client.get("/api/v1/facilities/nulle-part/wait")
    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"


async def test_a_name_used_twice_is_refused_with_the_remedy(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s)"
        " values (%s, 'dechetterie', 'Une autre', 2, 600)",
        (ids["site:centre"],),
    )
    answer = await web.client.get(PATH)
    assert answer.status_code == 409
    assert "alzette.centre.dechetterie" in answer.json()["detail"]


async def test_the_list_shows_every_facility(web: SimpleNamespace) -> None:
    items: list[dict[str, Any]] = (await answered(web, "/api/v1/waits"))["items"]
    assert [item["id"] for item in items] == ["dechetterie"]
    assert items[0]["wait_minutes"] is None


async def test_old_estimates_are_forgotten(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    async with web.pool.connection() as writer:
        assert await record.drop_before(writer, NOW - timedelta(days=1)) == 0
        assert await record.drop_before(writer, NOW + timedelta(days=1)) == 1


async def test_listeners_get_the_present_state_and_each_change_once(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    facility = conn.execute("select facility_id from facility").fetchone()
    assert facility is not None
    feed = WaitFeed(web.pool, web.clock, most=1)
    async with feed.listening():
        assert feed.full
        events = feed.events(facility[0], None)
        assert (await anext(events)).startswith(b"retry: ")
        first = (await anext(events)).decode()
        number, kind, data = first.splitlines()[:3]
        assert kind == "event: wait"
        assert json.loads(data.removeprefix("data: "))["situation"] == "A"
        waiting = asyncio.ensure_future(anext(events))
        conn.execute("update facility set name = 'Neu'")
        await feed._read()
        assert "Neu" in (await waiting).decode()
        held = feed.events(facility[0], number.removeprefix("id: "))
        await anext(held)
        assert "Neu" in (await anext(held)).decode()
        web.clock.advance_us(601 * US_PER_S)
        feed._pool = AsyncConnectionPool(open=False)  # as while the database is away
        await feed._read()
        stale = json.loads((await anext(events)).decode().splitlines()[2].removeprefix("data: "))
        assert (stale["id"], stale["status"]) == ("dechetterie", "unknown")
        assert (stale["wait_minutes"], stale["age_s"], stale["level"]) == (None, None, None)
        assert stale.keys() == json.loads(data.removeprefix("data: ")).keys()
        await feed.stop()
        assert [event async for event in events] == []
    assert feed.listeners == 0


async def test_more_listeners_than_there_is_room_for_are_sent_to_the_plain_answer(
    web: SimpleNamespace,
) -> None:
    app = web.client._transport.app
    app.state.wait_feed = WaitFeed(web.pool, web.clock, most=0)
    answer = await web.client.get(f"{PATH}/stream")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


async def test_times_of_service_make_situation_d(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    device = conn.execute(
        "insert into device (gateway_id, name, kind) values (%s, 'badge', 'sample')"
        " returning device_id",
        (ids["gateway:dechetterie"],),
    ).fetchone()
    assert device is not None
    conn.execute("update facility set service_device_id = %s, service_point = 'service_s'", device)
    morning(conn, ids, **BUSY)
    assert await estimated(web) == {"A": 1}  # nobody has told a time yet
    conn.execute("delete from wait_estimate")
    samples(conn, device[0], "service_s", [(NOW - timedelta(minutes=5), 600.0)])
    assert await estimated(web) == {"D": 1}
    body = await answered(web)
    assert (body["situation"], body["basis"]) == ("D", "measured")
