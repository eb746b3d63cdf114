"""What a site is known by, from day to day: clocks are heard live, openings absorbed once over."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import psycopg
import pytest

from cloud.waiting import learner, memory, record
from cloud.waiting.clocks import MOST_HEARD, OFFSETS_S
from cloud.waiting.estimator import Estimator
from cloud.waiting.learning import learn
from cloud.waiting.memory import Learned
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, Detector, SiteModel
from protocols.time import US_PER_S, TimeUs
from tests.integration.seeded_territory import NOW, NOW_US, minutes, passages
from tests.integration.waiting_site import OPENED, write
from tests.waiting_cases import play

ONE = play(1, seed=4)[0]
MODEL = learn([], Declared(6, 672.0))
BEHIND = np.where(OFFSETS_S == -60.0, 0.0, -MOST_HEARD)
"""A clock that is a minute behind, for sure."""


@pytest.fixture
async def db(
    migrated_database_url: str, ids: dict[str, int]
) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(
        migrated_database_url, autocommit=True
    ) as found:
        yield found


def facility(conn: psycopg.Connection) -> int:
    row = conn.execute("select facility_id from facility").fetchone()
    assert row is not None
    return int(row[0])


async def known(db: psycopg.AsyncConnection, key: int, model: SiteModel, days: float) -> None:
    """The model of a lesson some days ago."""
    lesson = Learned(NOW - timedelta(days=days), learner.FEW, model.to_document())
    await memory.keep_model(db, key, lesson)


async def shown(conn: psycopg.Connection, db: psycopg.AsyncConnection, key: int) -> record.Estimate:
    """What a process that has just begun says now."""
    for table in ("wait_estimate", "wait_checkpoint"):
        conn.execute(f"delete from {table}")  # noqa: S608
    await Estimator().run(db, NOW_US)
    return (await record.latest(db, [key]))[key]


async def test_a_tail_whose_clock_is_a_minute_behind_is_read_where_it_belongs(
    conn: psycopg.Connection, ids: dict[str, int], db: psycopg.AsyncConnection
) -> None:
    """Heard within the first ninety minutes, or known since yesterday: as if it were right."""
    key = facility(conn)
    await known(db, key, MODEL, 1.0)
    write(conn, ids, OPENED, ONE, steps=90)
    right = await shown(conn, db, key)
    conn.execute("delete from passage_reading where device_id = %s", (ids["dechetterie/tail"],))
    assert ONE.counts.tail is not None
    behind = minutes(OPENED - timedelta(minutes=1), [*ONE.counts.tail[:90].tolist(), 0])
    passages(conn, ids["dechetterie/tail"], behind)
    live = await shown(conn, db, key)
    await known(db, key, replace(MODEL, clocks={Detector.TAIL: BEHIND}), 0.6)
    since_yesterday = await shown(conn, db, key)
    await known(db, key, replace(MODEL, one_clock=True), 0.5)
    taken_for_true = await shown(conn, db, key)
    assert live.situation is Situation.A
    assert _apart(live, right) < 1.0
    assert _apart(since_yesterday, right) < 1.0
    assert _apart(taken_for_true, right) > 10.0


async def test_a_clock_that_cannot_be_told_makes_b_of_a(
    conn: psycopg.Connection, ids: dict[str, int], db: psycopg.AsyncConnection
) -> None:
    key = facility(conn)
    torn = np.where(np.abs(OFFSETS_S) == 150.0, 0.0, -MOST_HEARD)
    await known(db, key, replace(MODEL, clocks={Detector.TAIL: torn}), 1.0)
    for gate in Detector:
        passages(conn, ids[f"dechetterie/{gate.value}"], minutes(OPENED, [0] * 90))
    assert (await shown(conn, db, key)).situation is Situation.B


async def test_an_opening_is_absorbed_once_when_its_site_has_emptied(
    conn: psycopg.Connection, ids: dict[str, int], db: psycopg.AsyncConnection
) -> None:
    """Of the models since a lesson the newest stays, and the next lesson is due as it was."""
    key = facility(conn)
    await known(db, key, MODEL, 0.4)
    write(conn, ids, OPENED, ONE)
    assert await learner.learn_due(db, NOW_US) == 0
    later = TimeUs(NOW_US + 4 * 3600 * US_PER_S)
    assert await learner.learn_due(db, later) == 1
    assert await learner.learn_due(db, later) == 0
    first, lesson = await memory.model_history(db, key, 10)
    assert (first.openings, lesson.openings) == (learner.FEW + 1, learner.FEW)
    assert first.document[learner.LESSON] == lesson.learned_at.isoformat()
    model = SiteModel.from_document(first.document)
    assert model.residues.openings.tolist() == [1.0, 1.0, 1.0]
    assert model.service_cars > MODEL.service_cars
    afternoon = OPENED + timedelta(hours=5)
    write(conn, ids, afternoon, play(2, seed=4)[1])
    evening = TimeUs(NOW_US + 10 * 3600 * US_PER_S)
    assert await learner.learn_due(db, evening) == 1
    second, same = await memory.model_history(db, key, 10)
    assert (second.openings, same.learned_at) == (learner.FEW + 2, lesson.learned_at)


def _apart(one: record.Estimate, other: record.Estimate) -> float:
    assert one.quantiles is not None
    assert other.quantiles is not None
    return float(np.abs(np.subtract(one.quantiles, other.quantiles)).mean())
