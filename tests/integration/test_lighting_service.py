"""Plans, states and energy of lighting groups on a real database."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from cloud.lighting import service, store
from cloud.lighting.energy import Meter, NightEnergy
from cloud.lighting.signing import PlanSigner, create
from cloud.lighting.store import GroupRecord
from protocols.plan import MAX_OVERRIDES, level_at
from protocols.time import US_PER_S, TimeUs, from_datetime
from tests.integration.seeded_territory import (
    BASELINE,
    LAMPS,
    NOW,
    NOW_US,
    feeder_energy,
    lamp_rows,
    minutes,
    passages,
)

NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)
"""The last noon in Paris before NOW."""


@pytest.fixture
async def pool(
    migrated_database_url: str, ids: dict[str, int]
) -> AsyncIterator[AsyncConnectionPool]:
    async with AsyncConnectionPool(
        migrated_database_url, min_size=1, kwargs={"autocommit": True}, open=False
    ) as found:
        yield found


def _count_road(conn: psycopg.Connection, ids: dict[str, int], *, days: int, cars: int) -> None:
    """`cars` every quarter of an hour of the days before the last noon."""
    start = NOON - timedelta(days=days)
    quarters = [(start + timedelta(minutes=15 * i), cars) for i in range(days * 96)]
    passages(conn, ids["centre/road"], quarters, window_s=900)


async def _record(pool: AsyncConnectionPool, slug: str) -> GroupRecord:
    async with pool.connection() as conn:
        return next(r for r in await store.groups(conn) if r.slug == slug)


async def test_one_plan_a_gateway_is_issued_once_while_nothing_changes(
    pool: AsyncConnectionPool,
) -> None:
    async with pool.connection() as conn:
        first = await service.issue_plans(conn, NOW_US, PlanSigner())
        second = await service.issue_plans(conn, TimeUs(NOW_US + 60 * US_PER_S), PlanSigner())
        plans = await store.latest_plans(conn)
    assert first == ["gw-centre", "gw-gare"]
    assert second == []
    assert set(plans) == set(first)


async def test_a_new_key_signs_the_same_orders_anew(
    pool: AsyncConnectionPool, tmp_path: Path, ids: dict[str, int]
) -> None:
    signer = create(tmp_path / "plan.key")
    async with pool.connection() as conn:
        await service.issue_plans(conn, NOW_US, PlanSigner())
        later = TimeUs(NOW_US + 60 * US_PER_S)
        assert len(await service.issue_plans(conn, later, signer)) == 2
        assert await service.issue_plans(conn, TimeUs(later + 1), signer) == []
        issued = await store.latest_plan(conn, ids["gateway:centre"])
    assert issued is not None
    assert issued.key_id == signer.key_id


async def test_the_next_noon_brings_the_next_plan(pool: AsyncConnectionPool) -> None:
    async with pool.connection() as conn:
        await service.issue_plans(conn, NOW_US, PlanSigner())
        later = TimeUs(NOW_US + 3 * 3600 * US_PER_S)
        assert len(await service.issue_plans(conn, later, PlanSigner())) == 2


async def test_quiet_counted_nights_dim_the_group_with_the_counter_only(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    _count_road(conn, ids, days=15, cars=1)
    async with pool.connection() as writer:
        await service.issue_plans(writer, NOW_US, PlanSigner())
        centre = await store.latest_plan(writer, ids["gateway:centre"])
        gare = await store.latest_plan(writer, ids["gateway:gare"])
    night = from_datetime(datetime(2026, 11, 23, 1, tzinfo=UTC))
    assert centre is not None
    assert gare is not None
    assert level_at(centre.plan, centre.plan.groups[0], night, clock_sure=True).level_pct == 50.0
    assert level_at(gare.plan, gare.plan.groups[0], night, clock_sure=True).level_pct == 100.0
    assert len(centre.plan.groups[0].devices) == LAMPS


async def test_hours_with_a_hole_or_a_fault_are_not_counted(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    road = ids["centre/road"]
    passages(conn, road, minutes(NOON - timedelta(hours=3), [2] * 180))
    conn.execute(
        "delete from passage_reading where device_id = %s and t between %s and %s",
        (road, NOON - timedelta(minutes=170), NOON - timedelta(minutes=168)),
    )
    conn.execute(
        "update passage_reading set status = 1 where device_id = %s and t = %s",
        (road, NOON - timedelta(minutes=90)),
    )
    async with pool.connection() as reader:
        found = await store.hour_counts(reader, road, since=NOON - timedelta(days=1), until=NOON)
    assert [(c.t_us, c.count) for c in found] == [(from_datetime(NOON - timedelta(hours=1)), 120)]


async def test_hours_may_begin_on_a_quarter_where_quarters_are_counted(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    road, start = ids["centre/road"], NOON - timedelta(hours=3)
    quarters = [(start + timedelta(minutes=15 * i), i) for i in range(12)]
    passages(conn, road, quarters, window_s=900)
    async with pool.connection() as reader:
        found = await store.hour_counts(reader, road, since=start, until=NOON, phase_s=900)
        conn.execute("update passage_reading set window_s = 3600 where forward_count % 4 = 0")
        conn.execute("delete from passage_reading where forward_count % 4 <> 0")
        hourly = await store.hour_counts(reader, road, since=start, until=NOON)
        none = await store.hour_counts(reader, road, since=start, until=NOON, phase_s=900)
    first = from_datetime(start + timedelta(minutes=15))
    assert [(c.t_us, c.count) for c in found] == [
        (first, 1 + 2 + 3 + 4),
        (first + 3600 * US_PER_S, 5 + 6 + 7 + 8),
    ]
    assert [c.count for c in hourly] == [0, 4, 8]
    assert none == []


async def test_counts_of_both_directions_may_be_greater_than_a_count(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    road, most = ids["centre/road"], 2**31 - 1
    passages(conn, road, minutes(NOON - timedelta(hours=1), [most] * 60))
    conn.execute("update passage_reading set backward_count = %s", (most,))
    async with pool.connection() as reader:
        [found] = await store.hour_counts(reader, road, since=NOON - timedelta(hours=1), until=NOON)
    assert found.count == 60 * 2 * most


async def test_energy_is_the_feeders_difference_with_resets_against_the_named_baseline(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    start = NOON - timedelta(days=1)
    rising = [(start + timedelta(minutes=i), 1_000 + i) for i in range(720)]
    again = [(start + timedelta(minutes=i), i - 720) for i in range(720, 1440)]
    feeder_energy(conn, ids["centre/feeder"], rising + again)
    found = await _nights(pool, "rue-centre", 2)
    whole, running = found
    assert whole.night == date(2026, 11, 19)
    assert whole.meter is Meter.FEEDER
    assert whole.measured_wh == 719 + 719
    assert whole.resets == 1
    assert whole.baseline_name == BASELINE
    assert whole.complete
    assert whole.coverage_pct == pytest.approx(100.0, abs=0.1)
    assert whole.baseline_wh == pytest.approx(110 * LAMPS * 15, rel=0.03)
    assert whole.saving_pct is not None
    assert running.measured_wh is None
    assert not running.complete


async def test_two_groups_on_one_feeder_are_metered_by_their_lamps(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    conn.execute(
        "insert into lighting_group (territory_id, gateway_id, slug, name, rated_power_w,"
        " baseline_power_w, baseline_name) values (%s, %s, 'rue-basse', 'Rue basse', 45, 110, 'x')",
        (ids["territory"], ids["gateway:centre"]),
    )
    record = await _record(pool, "rue-centre")
    assert record.feeder_ids == ()
    (night,) = await _nights(pool, "rue-centre", 1)
    assert night.measured_wh is None


async def test_silent_lamps_are_no_part_of_the_present_state(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    lamps = [ids[f"centre/lamp-{i:02d}"] for i in range(LAMPS)]
    lamp_rows(conn, lamps[:3], [(NOW - timedelta(minutes=1), 75.0, 30.0)])
    lamp_rows(conn, lamps[3:], [(NOW - timedelta(minutes=11), 100.0, 45.0)])
    async with pool.connection() as reader:
        states = await service.states(reader, NOW_US)
    state = states[ids["group:centre"]]
    assert (state.lamps, state.reporting, state.power_w) == (4, 3, 90.0)
    assert (state.level_pct, state.level_min_pct, state.level_max_pct) == (75.0, 75.0, 75.0)
    assert states[ids["group:gare"]].level_pct is None


async def test_lamps_that_tell_no_power_are_metered_by_their_own_feeder(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    started = NOW - timedelta(minutes=1)
    for gateway in ("centre", "gare"):
        conn.execute(
            "insert into latest_feeder (t, device_id, window_s, quality, power_w)"
            " values (%s, %s, 60, 0, 900)",
            (started, ids[f"{gateway}/feeder"]),
        )
    lamp_rows(conn, [ids["centre/lamp-00"]], [(started, 75.0, 30.0)])
    async with pool.connection() as reader:
        states = await service.states(reader, NOW_US)
    assert states[ids["group:centre"]].power_w == 30.0, "the lamp says so itself"
    assert (states[ids["group:gare"]].power_w, states[ids["group:gare"]].power_lamps) == (900.0, 0)


async def test_superseded_plans_are_forgotten_after_a_year_but_never_the_last(
    pool: AsyncConnectionPool,
) -> None:
    later = TimeUs(NOW_US + 10 * 86_400 * US_PER_S)
    far = TimeUs(NOW_US + 400 * 86_400 * US_PER_S)
    async with pool.connection() as conn:
        await service.issue_plans(conn, NOW_US, PlanSigner())
        await service.issue_plans(conn, later, PlanSigner())
        assert await service.drop_old_plans(conn, later) == 0
        assert await service.drop_old_plans(conn, far) == 2
        assert len(await store.latest_plans(conn)) == 2


async def _nights(pool: AsyncConnectionPool, slug: str, nights: int) -> list[NightEnergy]:
    record = await _record(pool, slug)
    async with pool.connection() as conn:
        return await service.energy(conn, record, last_nights=nights, now_us=NOW_US)


def _put_into_two_groups(conn: psycopg.Connection, ids: dict[str, int]) -> None:
    """A second group at the cabinet of the centre, with a lamp of the first."""
    conn.execute(
        "insert into lighting_group (territory_id, gateway_id, slug, name, rated_power_w,"
        " baseline_power_w, baseline_name, reduced_levels) values (%s, %s, 'double', 'Double', 45,"
        " 110, 'x', '[75, 50]')",
        (ids["territory"], ids["gateway:centre"]),
    )
    conn.execute(
        "insert into lighting_group_member"
        " select group_id, %s from lighting_group where slug = 'double'",
        (ids["centre/lamp-00"],),
    )


async def test_a_plan_that_a_gateway_would_refuse_is_not_kept_and_holds_back_no_other(
    conn: psycopg.Connection,
    ids: dict[str, int],
    pool: AsyncConnectionPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    _put_into_two_groups(conn, ids)
    async with pool.connection() as writer:
        with pytest.raises(service.PlansFailed, match="for gw-centre;"):
            await service.issue_plans(writer, NOW_US, PlanSigner())
        assert set(await store.latest_plans(writer)) == {"gw-gare"}
        assert "plan_failed gateway_id=gw-centre" in caplog.text
        assert "two groups" in caplog.text
        conn.execute("delete from lighting_group where slug = 'double'")
        assert await service.issue_plans(writer, NOW_US, PlanSigner()) == ["gw-centre"]


async def test_a_kept_plan_that_cannot_be_read_is_replaced(
    conn: psycopg.Connection,
    ids: dict[str, int],
    pool: AsyncConnectionPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with pool.connection() as writer:
        await service.issue_plans(writer, NOW_US, PlanSigner())
        conn.execute(
            "update lighting_plan set document = '{}' where gateway_id = %s",
            (ids["gateway:centre"],),
        )
        assert await store.latest_plan(writer, ids["gateway:centre"]) is None
        later = TimeUs(NOW_US + US_PER_S)
        assert await service.issue_plans(writer, later, PlanSigner()) == ["gw-centre"]
        assert await store.latest_plan(writer, ids["gateway:centre"]) is not None
    assert "plan_unreadable" in caplog.text


async def test_overrides_that_are_over_are_no_part_of_a_plan(
    conn: psycopg.Connection, ids: dict[str, int], pool: AsyncConnectionPool
) -> None:
    over = NOW - timedelta(minutes=5)
    rows = [(NOW - timedelta(minutes=10), over)] * (MAX_OVERRIDES + 1)
    holds = (NOW, NOW + timedelta(minutes=5))
    with conn.cursor() as cursor:
        cursor.executemany(
            "insert into lighting_override (group_id, from_at, until_at, level_pct, priority,"
            " reason, created_by, changed_at) values (%s, %s, %s, 30, 1, 'essai', 'x', now())",
            [(ids["group:centre"], *row) for row in [*rows, holds]],
        )
    async with pool.connection() as writer:
        assert len(await service.issue_plans(writer, NOW_US, PlanSigner())) == 2
        issued = await store.latest_plan(writer, ids["gateway:centre"])
        assert issued is not None
        assert [o.from_us for o in issued.plan.groups[0].overrides] == [NOW_US]
        later = TimeUs(NOW_US + 600 * US_PER_S)
        assert await service.issue_plans(writer, later, PlanSigner()) == []
