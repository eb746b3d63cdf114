"""Latest values, readings, ledgers and batches over HTTP, on what the real ingest stored."""

import uuid
from collections.abc import Sequence

import httpx
import pytest

from cloud.keys.model import Scope
from protocols import wire
from protocols.ack import decode_ack
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import KINDS, Kind
from protocols.time import US_PER_S, TimeUs, to_datetime
from tests.integration.api_world import bearer, make_key, world

pytestmark = pytest.mark.database

T0 = 1_767_225_600 * US_PER_S  # 2026-01-01T00:00:00Z
STREAM = Stream(GatewayId("cab-centre-1"), Epoch(uuid.UUID(int=7)), Lane.LIVE)
HEADERS = {"Content-Type": "application/x-protobuf"}
RANGE = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}


def lamps(minute: int, *, devices: int = 3) -> list[Reading]:
    return [
        reading(
            Kind.LIGHT,
            DeviceId(f"lamp-{n:02d}"),
            TimeUs(T0 + minute * 60 * US_PER_S),
            window_s=60,
            level_pct=50.0 + n,
            power_w=20.1,
            energy_wh=1000 + minute,
        )
        for n in range(devices)
    ]


def encoded(
    seq: int, rows: Sequence[Reading], *, before: int = 0, stream: Stream = STREAM
) -> bytes:
    return wire.encode(stream, seq, rows, created_us=TimeUs(T0), rows_before=before)


async def post(client: httpx.AsyncClient, payload: bytes) -> httpx.Response:
    return await client.post("/batches", content=payload, headers=HEADERS)


async def test_a_batch_is_stored_and_acknowledged_and_a_repeat_changes_nothing(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        first = await post(client, encoded(1, lamps(0)))
        assert (first.status_code, first.headers["Eclor-Batch"]) == (200, "stored")
        ack = decode_ack(first.content)
        assert ack.gateway == "cab-centre-1"
        assert [(s.epoch, s.lane, s.watermark) for s in ack.streams] == [
            (STREAM.epoch, Lane.LIVE, 1)
        ]
        again = await post(client, encoded(1, lamps(0)))
        assert (again.status_code, again.headers["Eclor-Batch"]) == (200, "duplicate")
        assert decode_ack(again.content).streams == ack.streams
        rows = (await client.get("/latest?kind=light")).json()["items"]
        assert len(rows) == 3


async def test_a_damaged_batch_is_set_aside_and_acknowledged(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        future = reading(
            Kind.LIGHT, DeviceId("lamp-00"), TimeUs(T0 * 2), window_s=60, level_pct=1.0
        )
        answer = await post(client, encoded(1, [future]))
        assert answer.status_code == 200, answer.text
        assert answer.headers["Eclor-Batch"] == "quarantined"
        assert answer.headers["Eclor-Reason"] == "future"
        assert decode_ack(answer.content).streams[0].watermark == 1
        ledger = (await client.get("/gateways/cab-centre-1/ledger")).json()
        assert (ledger["produced"], ledger["quarantined"], ledger["set_aside"]) == (1, 1, 1)


async def test_what_is_no_batch_or_comes_from_an_unknown_gateway_is_refused(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        assert (await post(client, b"nonsense")).status_code == 422
        stranger = Stream(GatewayId("cab-unknown"), STREAM.epoch, Lane.LIVE)
        assert (await post(client, encoded(1, lamps(0), stream=stranger))).status_code == 403


async def test_a_key_of_another_territory_cannot_speak_for_a_gateway(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        key = await make_key(migrated_database_url, Scope.INGEST, territory="val-bas")
        client.headers.update(bearer(key))
        assert (await post(client, encoded(1, lamps(0)))).status_code == 403


async def test_latest_values_are_the_newest_of_each_device_and_paged(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, lamps(5)))
        await post(client, encoded(2, lamps(3), before=3))  # older: arrives late
        everything = (await client.get("/latest?kind=light")).json()
        assert everything["next"] is None
        assert everything["items"][0] == {
            "gateway": "cab-centre-1",
            "device": "lamp-00",
            "t": "2026-01-01T00:05:00Z",
            "window_s": 60,
            "quality": 0,
            "values": {
                "level_pct": 50.0,
                "target_pct": None,
                "power_w": 20.1,
                "energy_wh": 1005,
                "voltage_v": None,
                "temperature_c": None,
                "status": None,
                **dict.fromkeys(
                    ("level_min_pct", "level_max_pct", "power_min_w", "power_max_w", "coverage_pct")
                ),
            },
        }
        first = await client.get("/latest?kind=light&limit=2")
        second = await client.get(first.links["next"]["url"].removeprefix("/api/v1"))
        assert first.json()["items"] + second.json()["items"] == everything["items"]
        assert second.json()["next"] is None
        assert (await client.get("/latest?kind=light&gateway=gate-1")).json()["items"] == []


@pytest.mark.parametrize("limit", [1, 2, 4, 7, 1000])
async def test_pages_of_readings_hold_every_row_once_in_order(
    migrated_database_url: str, limit: int
) -> None:
    async with world(migrated_database_url) as client:
        rows = [row for minute in range(6) for row in lamps(minute)]
        await post(client, encoded(1, rows))
        params: dict[str, str | int] = {"kind": "light", "gateway": "cab-centre-1", **RANGE}
        found = []
        cursor: str | None = ""
        while cursor is not None:
            given = params | {"limit": limit} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/readings", params=given)).json()
            assert len(page["items"]) <= limit
            found += [(row["device"], row["t"]) for row in page["items"]]
            cursor = page["next"]
        expected = [
            (f"lamp-{n:02d}", to_datetime(T0 + m * 60 * US_PER_S).strftime("%Y-%m-%dT%H:%M:%SZ"))
            for n in range(3)
            for m in range(6)
        ]
        assert sorted(found) == expected
        assert len(set(found)) == len(found)
        by_device = [[t for device, t in found if device == f"lamp-{n:02d}"] for n in range(3)]
        assert all(times == sorted(times) for times in by_device)


async def test_records_of_the_same_instant_are_not_lost_between_pages(
    migrated_database_url: str,
) -> None:
    async with world(migrated_database_url) as client:
        rows = [
            reading(
                Kind.OUTCOME, DeviceId("lamp-00"), TimeUs(T0), command_id=f"c{n}", outcome="applied"
            )
            for n in range(5)
        ]
        answer = await post(client, encoded(1, rows))
        assert answer.headers["Eclor-Batch"] == "stored"
        found, cursor = [], None
        for _ in range(5):
            params = {"kind": "outcome", "gateway": "cab-centre-1", "limit": "2", **RANGE}
            params |= {"cursor": cursor} if cursor else {}
            page = (await client.get("/readings", params=params)).json()
            found += [row["values"]["command_id"] for row in page["items"]]
            cursor = page["next"]
            if cursor is None:
                break
        assert found == [f"c{n}" for n in range(5)]


async def test_samples_are_listed_by_point_and_device(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        rows = [
            reading(Kind.SAMPLE, DeviceId("counter"), TimeUs(T0), point=point, value=value)
            for point, value in (("noise_db", 61.5), ("battery_v", 3.6))
        ]
        assert (await post(client, encoded(1, rows))).headers["Eclor-Batch"] == "stored"
        latest = (await client.get("/latest?kind=sample")).json()["items"]
        values = [(row["point"], row["values"]["value"]) for row in latest]
        assert values == [("battery_v", 3.6), ("noise_db", 61.5)]
        params = {"kind": "sample", "gateway": "cab-centre-1", "device": "counter", **RANGE}
        found = (await client.get("/readings", params=params)).json()["items"]
        assert sorted(row["point"] for row in found) == ["battery_v", "noise_db"]


async def test_a_range_must_be_one_and_not_longer_than_a_year(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        params = {"kind": "light", "gateway": "cab-centre-1", "resolution": "raw"}
        for start, end, said in (
            ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", "choose from < to"),
            ("2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "at most 366 days; ask for"),
        ):
            given = params | {"from": start, "to": end}
            answer = await client.get("/readings", params=given)
            assert answer.status_code == 422
            assert said in answer.json()["detail"]


async def test_the_ledger_names_what_is_missing_and_balances(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, lamps(0)))
        await post(client, encoded(4, lamps(3), before=9))
        await post(client, encoded(6, lamps(5), before=15))
        ledger = (await client.get("/gateways/cab-centre-1/ledger")).json()
        (stream,) = ledger["streams"]
        assert stream["watermark"] == 1
        assert stream["missing_ranges"] == [[2, 3], [5, 5]]
        assert stream["missing_batches"] == 3
        assert (ledger["produced"], ledger["stored"], ledger["missing"]) == (18, 9, 9)
        await post(client, encoded(2, lamps(0), before=3))  # rows that are here already
        ledger = (await client.get("/gateways/cab-centre-1/ledger")).json()
        parts = ("stored", "repeated", "quarantined", "missing")
        assert ledger["produced"] == sum(ledger[part] for part in parts) == 18
        assert ledger["repeated"] == 3


async def test_rows_that_were_given_up_are_not_missing_for_ever(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, lamps(0)))
        await post(client, encoded(2, [], before=3))  # held 6 rows, was emptied
        await post(client, encoded(3, lamps(1), before=9))
        ledger = (await client.get("/gateways/cab-centre-1/ledger")).json()
        assert (ledger["produced"], ledger["stored"]) == (12, 6)
        assert (ledger["emptied"], ledger["missing"]) == (6, 0)


async def test_a_gateway_that_never_sent_has_an_empty_ledger(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        ledger = (await client.get("/gateways/gate-1/ledger")).json()
        assert ledger["streams"] == []
        assert ledger["produced"] == 0


async def test_a_device_with_readings_is_not_deleted(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        await post(client, encoded(1, lamps(0, devices=4)))
        answer = await client.delete("/gateways/cab-centre-1/devices/lamp-03")
        assert answer.status_code == 409
        assert "has readings" in answer.json()["detail"]


async def test_kinds_say_units_and_every_kind_can_be_read(migrated_database_url: str) -> None:
    async with world(migrated_database_url) as client:
        kinds = (await client.get("/kinds")).json()
        assert [kind["kind"] for kind in kinds["items"]] == [kind.label for kind in KINDS]
        light = kinds["items"][0]["columns"][0]
        assert (light["name"], light["unit"]) == ("level_pct", "%")
        assert kinds["quality"]["OUT_OF_RANGE"] == 4
        for kind in KINDS:
            params = {"kind": kind.label, "gateway": "cab-centre-1", **RANGE}
            assert (await client.get("/readings", params=params)).status_code == 200
            assert (await client.get(f"/latest?kind={kind.label}")).status_code == 200
