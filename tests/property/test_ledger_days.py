"""The daily ledger is right after any order of deliveries, repeats, drops and poison."""

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from cloud.ledger import store
from cloud.ledger.model import Account, Counted, balance
from protocols import topics, wire
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs, to_datetime
from tests.integration.deliveries import GATEWAY, MINUTE_US, NOW_US, add_gateways

WITH_DATABASE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HOUR_US = 3_600 * US_PER_S
ZONE = ZoneInfo("Europe/Paris")


@pytest.fixture
def conn(migrated_database_url: str) -> Iterator[psycopg.Connection]:
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url, autocommit=True) as connection:
        yield connection


@dataclass(frozen=True)
class Made:
    """A batch as the gateway knows it: what it held, and what is sent of it."""

    lane: Lane
    seq: int
    created_us: int
    rows: int
    dropped: bool
    poison: bool
    before: int

    @property
    def sent(self) -> int:
        return 0 if self.dropped else self.rows

    @property
    def day(self) -> date:
        return to_datetime(self.created_us).astimezone(ZONE).date()


@st.composite
def histories(draw: st.DrawFn) -> list[Made]:
    """What a gateway made in some days, on both lanes, in order of time."""
    made: list[Made] = []
    last, before = dict.fromkeys(Lane, 0), dict.fromkeys(Lane, 0)
    t_us = NOW_US - 200 * HOUR_US
    for _ in range(draw(st.integers(1, 9))):
        lane = draw(st.sampled_from(Lane))
        t_us += draw(st.integers(1, 20)) * HOUR_US
        rows = draw(st.integers(1, 4))
        last[lane] += 1
        fate = draw(st.sampled_from(["sent", "sent", "dropped", "poison"]))
        made.append(
            Made(lane, last[lane], t_us, rows, fate == "dropped", fate == "poison", before[lane])
        )
        before[lane] += rows
    return made


def delivery_of(made: Made, *, gateway: GatewayId, epoch: Epoch, place: int) -> Delivery:
    rows = [
        reading(
            Kind.LIGHT,
            DeviceId(f"lamp-{place:02d}"),
            TimeUs(made.created_us + n * MINUTE_US + (10**9 * US_PER_S if made.poison else 0)),
            window_s=60,
            energy_wh=n,
        )
        for n in range(made.sent)
    ]
    return _delivery(rows, made, gateway, epoch)


def declaration(made: Made, rows: int, *, gateway: GatewayId, epoch: Epoch) -> Delivery:
    gap = reading(
        Kind.GAP,
        DeviceId("agent"),
        TimeUs(made.created_us),
        lane="live",
        first_t_us=0,
        last_t_us=1,
        rows=rows,
        reason="store_full",
    )
    return _delivery([gap], made, gateway, epoch)


def _delivery(rows: Sequence[Reading], made: Made, gateway: GatewayId, epoch: Epoch) -> Delivery:
    payload = wire.encode(
        Stream(gateway, epoch, made.lane),
        made.seq,
        rows,
        created_us=made.created_us,
        rows_before=made.before,
    )
    return Delivery(payload, NOW_US, topics.up(gateway, made.lane))


def account(url: str, gateway: GatewayId, since: datetime | None = None) -> Account:
    async def read() -> Account:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            return await store.account(conn, gateway, since=since)

    return asyncio.run(read())


def expected(made: Sequence[Made], arrived: set[int]) -> dict[date, dict[str, int]]:
    """The account from what is known to have happened; `arrived`: places in `made`."""
    days: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for lane in Lane:
        known = [m for place, m in enumerate(made) if m.lane is lane and place in arrived]
        previous: Made | None = None
        for batch in known:
            day = days[batch.day]
            day["batches"] += 1
            day["quarantined" if batch.poison else "stored"] += batch.sent
            begin = 1 if previous is None else previous.seq + 1
            between = [m.rows for m in made if m.lane is lane and begin <= m.seq < batch.seq]
            taken_out = 0 if previous is None else previous.rows - previous.sent
            if between:
                day["pending"] += sum(between) + taken_out
            elif previous is not None:
                days[previous.day]["emptied"] += taken_out
            previous = batch
    return days


@WITH_DATABASE
@given(made=histories(), data=st.data())
def test_the_account_is_right_after_any_order_of_deliveries(
    migrated_database_url: str, conn: psycopg.Connection, made: list[Made], data: st.DataObject
) -> None:
    gateway, epoch = GatewayId(f"gw-{uuid.uuid4().hex[:12]}"), Epoch(uuid.uuid4())
    conn.execute("insert into gateway (site_id, name) select site_id, %s from site", (gateway,))
    messages = [delivery_of(m, gateway=gateway, epoch=epoch, place=n) for n, m in enumerate(made)]
    order = data.draw(st.permutations(range(len(made))))
    arrived: set[int] = set()
    for place in order:
        arrived.add(place)
        accept(conn, [messages[place], messages[data.draw(st.sampled_from(sorted(arrived)))]])
        found = account(migrated_database_url, gateway)
        assert found.tables.agree
        wanted = expected(made, arrived)
        assert {day.day for day in found.days} == set(wanted)
        for day in found.days:
            of_day = wanted[day.day]
            assert day.batches == of_day["batches"]
            assert day.stored == of_day["stored"]
            assert day.quarantined == of_day["quarantined"]
            assert day.pending == of_day["pending"]
            assert day.lost == of_day["emptied"]  # nothing was declared yet
            assert day.contradicted == day.repeated == day.dropped == 0

    dropped = sum(day["emptied"] for day in expected(made, arrived).values())
    head = Made(
        Lane.LIVE,
        max([0, *(m.seq for m in made if m.lane is Lane.LIVE)]) + 1,
        NOW_US,
        1,
        dropped=False,
        poison=False,
        before=sum(m.rows for m in made if m.lane is Lane.LIVE),
    )
    accept(conn, [declaration(head, dropped + 50, gateway=gateway, epoch=epoch)])
    found = account(migrated_database_url, gateway)
    assert found.balanced, found.findings()
    produced: dict[date, int] = defaultdict(int)
    newest = {lane: max((m.seq for m in made if m.lane is lane), default=0) for lane in Lane}
    for m in made:
        # A batch that was dropped and has none after it: its size is not known yet.
        unknown = m.dropped and m.lane is Lane.HISTORY and m.seq == newest[m.lane]
        produced[m.day] += 0 if unknown else m.rows
    produced[head.day] += 1
    assert {day.day: day.produced for day in found.days} == produced
    assert sum(day.pending for day in found.days) == 0


@WITH_DATABASE
@given(made=histories(), data=st.data())
def test_an_account_since_a_day_has_the_same_days_as_the_whole_one(
    migrated_database_url: str, conn: psycopg.Connection, made: list[Made], data: st.DataObject
) -> None:
    gateway, epoch = GatewayId(f"gw-{uuid.uuid4().hex[:12]}"), Epoch(uuid.uuid4())
    conn.execute("insert into gateway (site_id, name) select site_id, %s from site", (gateway,))
    some = data.draw(st.sets(st.integers(0, len(made) - 1)))
    accept(
        conn,
        [delivery_of(made[n], gateway=gateway, epoch=epoch, place=n) for n in sorted(some)],
    )
    whole = account(migrated_database_url, gateway)
    first = (to_datetime(made[0].created_us) + timedelta(days=data.draw(st.integers(0, 5)))).date()
    since = account(
        migrated_database_url, gateway, datetime.combine(first, datetime.min.time(), ZONE)
    )
    assert since.days == tuple(day for day in whole.days if day.day >= first)
    assert since.tables.agree


@given(emptied=st.lists(st.integers(0, 50), min_size=1, max_size=6), declared=st.integers(0, 200))
def test_declarations_cover_the_oldest_drops_first_and_the_rest_is_lost(
    emptied: list[int], declared: int
) -> None:
    first = date(2026, 3, 28)
    days = balance(
        [
            Counted(first + timedelta(days=n), 1, 5, 5, 0, 0, 0, rows, 0, 0)
            for n, rows in enumerate(emptied)
        ],
        declared=declared,
    )
    assert sum(day.dropped for day in days) == min(declared, sum(emptied))
    assert sum(day.lost for day in days) == max(0, sum(emptied) - declared)
    for day in days:
        assert day.produced == day.stored + day.dropped + day.lost
    covered = [day.lost == 0 for day in days if day.dropped + day.lost]
    assert covered == sorted(covered, reverse=True)
