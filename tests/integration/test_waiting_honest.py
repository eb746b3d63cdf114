"""What a visitor must not be told: figures of another time, of a closed site, of no knowledge."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import psycopg
import pytest

from cloud.keys.model import Scope
from cloud.waiting import learner, memory, outlooks, scoring
from cloud.waiting.calendar import calendars
from cloud.waiting.learning import learn
from cloud.waiting.memory import Learned
from cloud.waiting.site import Declared, Detector, SiteModel
from cloud.waiting.store import facilities
from cloud.waiting.track import follow
from protocols.time import US_PER_S, TimeUs
from tests.integration.api_world import bearer, make_key
from tests.integration.seeded_territory import NOW, NOW_US, minutes, passages
from tests.integration.waiting_site import OPENED, write
from tests.integration.waiting_web import BUSY, PATH, answered, estimated, morning, waiting_web
from tests.waiting_cases import play

FACILITY = PATH.removesuffix("/wait")
EMPTY = learn([], Declared(6, 672.0))
MODEL = replace(EMPTY, profile=replace(EMPTY.profile, rates=np.full((8, 96), 0.3 / 60)))


@pytest.fixture
async def web(migrated_database_url: str, ids: dict[str, int]) -> AsyncIterator[SimpleNamespace]:
    """With a model, usual forecasts, and a key of staff."""
    key = await make_key(migrated_database_url, Scope.WAITING)
    async with waiting_web(migrated_database_url) as found:
        async with found.pool.connection() as conn:
            await _known(conn, MODEL, openings=60)
        found.staff = bearer(key)
        yield found


async def _known(conn: psycopg.AsyncConnection, model: SiteModel, *, openings: int) -> None:
    (one,) = await facilities(conn)
    lesson = Learned(NOW - timedelta(hours=30), openings, model.to_document())
    await memory.keep_model(conn, one.facility_id, lesson)
    calendar = (await calendars(conn, [one], NOW_US))[one.facility_id]
    usual = outlooks.typical_forecasts(model, calendar, NOW_US)
    await memory.keep_forecasts(conn, [(one.facility_id, each) for each in usual])


async def _close(web: SimpleNamespace, until: str) -> int:
    body = {"kind": "closed", "until": until, "reason": "Verglas"}
    made = await web.client.post(f"{FACILITY}/exceptions", json=body, headers=web.staff)
    assert made.status_code == 201, made.text
    return int(made.json()["id"])


async def test_cars_that_wait_are_not_forgotten_over_a_closing_that_is_undone(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    before = (await answered(web))["wait_minutes"]
    number = await _close(web, "2026-11-21T10:15:00Z")
    web.clock.advance_us(60 * US_PER_S)
    assert (await answered(web))["status"] == "closed"
    gone = await web.client.delete(f"{FACILITY}/exceptions/{number}", headers=web.staff)
    assert gone.status_code == 204
    web.clock.advance_us(60 * US_PER_S)
    for gate in ("tail", "entry", "exit"):
        passages(conn, ids[f"dechetterie/{gate}"], minutes(NOW, [0, 0]))
    await estimated(web)
    after = await answered(web)
    assert after["status"] == "open"
    assert after["wait_minutes"]["p50"] > before["p50"] / 2
    assert after["closes_at"] == "2026-11-21T11:00:00Z"


async def test_a_site_that_staff_has_closed_has_no_best_times(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    assert (await answered(web, f"{PATH}/forecast"))["best_slots"]
    await _close(web, "2026-11-23T23:00:00Z")
    week = await answered(web, f"{PATH}/forecast", to="2026-11-25T00:00:00Z")
    assert week["items"][0]["t"] >= "2026-11-24T08:00:00Z"
    assert all(one >= "2026-11-24" for one in week["best_slots"])
    page = await web.client.get("/", params={"lang": "fr"})
    assert "Verglas" in page.text
    assert "Meilleurs moments" not in page.text


async def test_a_forecast_of_counters_that_fell_silent_is_told_no_more(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    usual = await answered(web, f"{PATH}/forecast", **{"from": "2026-11-21T13:00:00Z"})
    live = await answered(web, f"{PATH}/forecast")
    assert live["items"][0]["live"]
    assert live["items"][0]["p80"] > 10
    web.clock.advance_us(20 * 60 * US_PER_S)
    later = await answered(web, f"{PATH}/forecast")
    assert not any(one["live"] for one in later["items"])
    body = await answered(web)
    assert body["basis"] == "typical"
    assert body["typical_minutes"]["p80"] < 5
    assert later["computed_at"] == usual["computed_at"]


async def test_a_counter_of_times_to_come_is_not_believed(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    for gate in ("tail", "entry", "exit"):
        passages(conn, ids[f"dechetterie/{gate}"], minutes(NOW, [1] * 2))
    await estimated(web)
    two_ahead = await answered(web)
    assert two_ahead["observed_at"] <= "2026-11-21T09:30:00Z"
    assert two_ahead["wait_minutes"] is not None
    for gate in ("tail", "entry", "exit"):
        passages(conn, ids[f"dechetterie/{gate}"], minutes(NOW + timedelta(minutes=2), [1] * 7))
    conn.execute("delete from wait_estimate")
    await estimated(web)
    nine_ahead = await answered(web)
    assert (nine_ahead["status"], nine_ahead["wait_minutes"]) == ("unknown", None)


async def test_who_arrives_after_closing_is_told_so(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    body = await answered(web, travel_min=120)
    assert body["message_key"] == "closed_on_arrival"
    assert body["message"]["fr"] == "Fermé à votre arrivée"
    assert (body["level"], body["wait_minutes"], body["p_admitted_if_leave_now"]) == (None, None, 0)


async def test_the_chance_of_being_served_falls_until_it_closes(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    """Ten cars wait: who comes a minute before closing is not served as who comes a quarter."""
    morning(conn, ids, **BUSY)
    await estimated(web)
    chances = [
        (await answered(web, travel_min=travel))["p_admitted_if_leave_now"]
        for travel in (60, 76, 83, 89)
    ]
    assert chances == sorted(chances, reverse=True)
    assert chances[-1] < 0.9
    last = (await answered(web))["last_admission_before_close"]
    assert "2026-11-21T10:30" < last < "2026-11-21T11:00"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("forecast", {"from": "9999-12-31T00:00:00Z"}),
        ("forecast", {"from": "0001-01-01T00:00:00+14:00"}),
        ("forecast", {"to": "9999-12-31T23:59:59-12:00"}),
        ("history", {"to": "0001-01-01T00:00:00Z"}),
        ("history", {"from": "9999-12-01T00:00:00Z"}),
    ],
)
async def test_a_date_out_of_this_world_is_refused(
    web: SimpleNamespace, path: str, query: dict[str, str]
) -> None:
    answer = await web.client.get(f"{PATH}/{path}", params=query)
    assert answer.status_code == 422
    assert "1970 to 2199" in answer.json()["detail"]


async def test_what_six_weeks_taught_outlives_weeks_without_counts(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    """Works, a winter, or an entry counter that was replaced by another device."""
    evening = TimeUs(NOW_US + 24 * 3600 * US_PER_S)
    conn.execute("delete from wait_forecast")
    async with web.pool.connection() as db:
        assert await learner.learn_due(db, evening) == 0
        (one,) = await facilities(db)
        (kept,) = await memory.model_history(db, one.facility_id, 10)
    assert kept.openings == 60
    week = await answered(web, f"{PATH}/forecast", to="2026-11-28T00:00:00Z")
    assert len(week["items"]) > 50


async def test_steps_of_an_hour_begin_with_the_opening(
    conn: psycopg.Connection, web: SimpleNamespace
) -> None:
    conn.execute('update facility set opening = \'{"sun": [["08:50", "12:00"]]}\'')
    async with web.pool.connection() as db:
        await _known(db, replace(MODEL, bays=5), openings=61)
    query = {"from": "2026-11-21T23:00:00Z", "to": "2026-11-22T23:00:00Z"}
    quarters = await answered(web, f"{PATH}/forecast", **query)
    assert [one["t"][11:16] for one in quarters["items"]][:3] == ["07:50", "08:00", "08:15"]
    hours = await answered(web, f"{PATH}/forecast", **query, step=60)
    assert [one["t"][11:16] for one in hours["items"]] == ["07:50", "08:00", "09:00", "10:00"]


async def test_a_line_longer_than_the_grid_is_told_as_more_than(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    """A cap must not be presented as a value."""
    morning(conn, ids, tail=[0] * 60 + [2] * 90, entry=[1, 0] * 45, exit=[0, 0, 1, 0] * 22 + [0, 0])
    await estimated(web)
    body = await answered(web)
    assert (body["wait_minutes"], body["people_ahead"]) == (None, None)
    assert body["at_least_minutes"] > 60
    assert body["confidence"] == "low"


async def test_visitors_stay_where_they_were_counted_when_the_counter_is_replaced(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    morning(conn, ids, **BUSY)
    await estimated(web)
    conn.execute(
        "insert into passage_hour (device_id, t, rows, covered_s, quality, forward_count)"
        " values (%s, '2026-11-21T09:00:00Z', 60, 3600, 0, 40)",
        (ids["dechetterie/entry"],),
    )
    conn.execute("update facility set entry_device_id = exit_device_id")
    query = {"from": "2026-11-21T09:00:00Z", "to": "2026-11-21T10:00:00Z"}
    (hour,) = (await answered(web, f"{PATH}/history", **query))["items"]
    assert hour["visitors"] == 40


async def test_an_opening_with_a_hole_is_scored_when_its_counts_have_come(
    conn: psycopg.Connection, ids: dict[str, int], web: SimpleNamespace
) -> None:
    """Or the record would be of days with a good link alone."""
    one = play(1, seed=9)[0]
    write(conn, ids, OPENED, one, steps=90)
    await estimated(web)
    whole = {name: row for name, row in one.counts.rows.items() if row is not None}
    write(conn, ids, OPENED, one, first=90)
    missing = OPENED + timedelta(minutes=120)
    entry = ids["dechetterie/entry"]
    conn.execute(
        "delete from passage_reading where device_id = %s and t >= %s and t < %s",
        (entry, missing, missing + timedelta(minutes=10)),
    )
    later = TimeUs(NOW_US + 3 * 3600 * US_PER_S)
    async with web.pool.connection() as db:
        assert await scoring.score_pending(db, later) == 0
        passages(conn, entry, minutes(missing, whole[Detector.ENTRY][120:130].tolist()))
        assert await scoring.score_pending(db, later) == 1


async def test_a_site_that_fails_silences_no_other(
    conn: psycopg.Connection,
    ids: dict[str, int],
    web: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    conn.execute(
        "insert into facility (site_id, slug, name, bays, mean_service_s, opening, tail_device_id,"
        " entry_device_id, exit_device_id) select site_id, 'autre', 'Autre', bays, mean_service_s,"
        " opening, tail_device_id, entry_device_id, exit_device_id from facility"
    )

    def fails_once(*args: Any, **rest: Any) -> Any:
        monkeypatch.setattr("cloud.waiting.estimator.follow", follow)
        raise ArithmeticError("a model without sense")

    monkeypatch.setattr("cloud.waiting.estimator.follow", fails_once)
    morning(conn, ids, **BUSY)
    assert await estimated(web) == {"A": 1}
    assert web.estimator.isolation.told("A:1") == "A:1 failed:1"
    assert "facility_failed doing=estimate facility=alzette.dechetterie." in caplog.text
    assert await estimated(web) == {"A": 2}
    assert web.estimator.isolation.told("A:2") == "A:2"
