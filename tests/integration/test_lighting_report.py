"""The savings report over HTTP and by the command, from a metered territory with counted roads."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import main
from cloud.keys.model import Scope
from cloud.lighting import nights, service, store
from cloud.lighting.report import group_report
from protocols.time import US_PER_S, TimeUs
from tests.integration.api_world import make_key
from tests.integration.seeded_territory import (
    BASELINE,
    LAMPS,
    NOW_US,
    feeder_energy,
    lamp_rows,
    passages,
    seed,
)
from tests.integration.test_lighting_routes import GROUPS, client
from tests.integration.test_provision_cli import served
from tests.lighting_cases import SEGMENT

REPORT = "/api/v1/lighting/report"
NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)
"""The last noon in Paris before the present of the tests' clock."""

NIGHTS = 3
LED_W = 45.0


@pytest.fixture
def filled(migrated_database_url: str) -> str:
    """Three nights of lamps at half light all night, 200 cars an hour, all metered."""
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        ids = seed(conn)
        start = NOON - timedelta(days=NIGHTS)
        quarters = [start + timedelta(minutes=15 * i) for i in range(NIGHTS * 96)]
        watts = LAMPS * LED_W * (0.07 + 0.93 * 0.5)
        for name in ("centre", "gare"):
            lamps = [ids[f"{name}/lamp-{i:02d}"] for i in range(LAMPS)]
            lamp_rows(conn, lamps, [(t, 50.0 if night(t) else 0.0, 20.0) for t in quarters])
            energy, readings = 0.0, []
            for t in quarters:
                readings.append((t, round(energy)))
                energy += watts / 4 if night(t) else 0.0
            feeder_energy(conn, ids[f"{name}/feeder"], readings)
        passages(conn, ids["centre/road"], [(t, 50) for t in quarters], window_s=900)
        october = [datetime(2026, 10, 17, 11, tzinfo=UTC) + timedelta(hours=k) for k in range(360)]
        passages(conn, ids["centre/road"], [(t, 40) for t in october], window_s=3600)
    return migrated_database_url


def night(t: datetime) -> bool:
    """From before dusk to after dawn of these days near 49.5 N."""
    return t.hour >= 15 or t.hour < 8


async def test_measured_energy_stands_beside_every_baseline(filled: str) -> None:
    params = {"nights": NIGHTS, "eur_per_kwh": 0.2, "gco2_per_kwh": 50}
    async with client(filled, Scope.READ) as reader:
        body = (await reader.get(REPORT, params=params)).json()
    assert (body["first_evening"], body["last_evening"]) == ("2026-11-17", "2026-11-19")
    centre, gare = body["groups"]
    assert [s["baseline"] for s in centre["savings"]] == ["B0", "B1", "B3", "bound"]
    assert [s["baseline"] for s in gare["savings"]] == ["B0", "B1"]
    b0, b1 = centre["savings"][:2]
    assert b0["name"] == BASELINE
    assert b0["low_pct"] < b0["saving_pct"] < b0["high_pct"]
    assert b0["saved_eur"] == pytest.approx(0.2 * b0["saved_kwh"], abs=0.01)
    assert b0["saved_gco2"] == pytest.approx(50 * b0["saved_kwh"], abs=1)
    led, control = centre["shares"]["led_pct"] / 100, centre["shares"]["control_pct"] / 100
    assert 1 - (1 - led) * (1 - control) == pytest.approx(b0["saving_pct"] / 100, abs=0.002)
    assert b1["saving_pct"] == pytest.approx(100 * control, abs=0.1)
    assert 0.3 < centre["standby_kwh"] < 0.6  # on for 50 min before dusk and an hour after dawn
    total = body["totals"][0]
    assert (total["groups"], total["baseline"]) == (2, "B0")
    assert total["low_pct"] < total["saving_pct"] < total["high_pct"]
    assert total["saved_eur"] == pytest.approx(0.2 * total["saved_kwh"], abs=0.01)


async def test_light_below_the_counted_class_is_in_the_report(filled: str) -> None:
    async with client(filled, Scope.READ) as reader:
        body = (await reader.get(REPORT, params={"nights": NIGHTS})).json()
    light = body["groups"][0]["light"]
    assert light["hours_two_lower"] > 30
    assert light["under_class_minutes"]["1"] == pytest.approx(60 * light["judged_h"])
    assert body["groups"][1]["light"]["judged_h"] == 0.0


async def test_a_decision_of_the_council_is_told_apart_also_after_it_was_ended(
    filled: str,
) -> None:
    """Lamps that were off by decision are neither under class nor a saving of the traffic's."""
    with psycopg.connect(filled, autocommit=True) as conn:
        conn.execute(
            "insert into lighting_rule (group_id, kind, start_time, end_time, weekdays, first_day,"
            " decided_by, decided_on, reference, changed_at, ended_at)"
            " select group_id, 'extinction', '23:00', '05:00', '{0,1,2,3,4,5,6}', '2026-01-01',"
            " 'Conseil municipal', '2025-12-15', 'Arrêté 118', %(now)s, %(now)s"
            " from lighting_group where slug = 'rue-centre'",
            {"now": NOON},
        )
        conn.execute(
            "update light_reading set level_pct = 0, target_pct = 0"
            " where (t at time zone 'Europe/Paris')::time >= '23:00'"
            " or (t at time zone 'Europe/Paris')::time < '05:00'"
        )
    async with client(filled, Scope.READ) as reader:
        centre, gare = (await reader.get(REPORT, params={"nights": NIGHTS})).json()["groups"]
    assert centre["light"]["hours_extinguished"] == NIGHTS * 6
    assert centre["light"]["hours_off"] == 0.0
    assert centre["shares"]["extinction_pct"] > 30
    assert (gare["light"]["hours_extinguished"], gare["light"]["hours_off"]) == (0.0, NIGHTS * 6)
    assert gare["shares"]["extinction_pct"] == 0.0


async def test_a_road_of_known_size_has_its_indicators_before_and_after(filled: str) -> None:
    async with client(filled, Scope.LIGHTING) as lighter:
        road = {**SEGMENT, "area_m2": 2000, "flux_lm": 80_000}
        road["existing_practice"] = {
            "name": "LED, 50 % de 22 h à 5 h",
            "from_hour": 22,
            "until_hour": 5,
            "level_pct": 50,
        }
        put = await lighter.put(f"{GROUPS}/rue-centre/segment", json=road)
        assert put.status_code == 200, put.text
        centre = (await lighter.get(REPORT, params={"nights": NIGHTS})).json()["groups"][0]
    assert [s["baseline"] for s in centre["savings"]] == ["B0", "B1", "B2", "B3", "bound"]
    b0, b1, b2 = centre["savings"][:3]
    assert b2["name"] == "LED, 50 % de 22 h à 5 h"
    assert b0["baseline_kwh"] > b1["baseline_kwh"] > b2["baseline_kwh"]
    saved = 1 - centre["aeci_kwh_m2"] / centre["aeci_before_kwh_m2"]
    assert saved == pytest.approx(b0["saving_pct"] / 100, abs=0.02)
    assert centre["pdi_w_lx_m2"] == pytest.approx(4 * 45 / (1.0 / 0.07 * 2000), abs=1e-4)
    (limit,) = centre["limits"]
    assert limit == {"name": "lm_per_m2", "value": 40.0, "limit": 35.0, "kept": False}


async def test_nights_that_were_verified_outlive_their_readings(filled: str) -> None:
    """The job keeps the last nights; a report of later reads them, and says what is missing."""
    async with await psycopg.AsyncConnection.connect(filled, autocommit=True) as conn:
        assert await nights.verify_nights(conn, NOW_US) == 2 * NIGHTS
        assert await nights.verify_nights(conn, NOW_US) == 2 * NIGHTS
        (record, _) = await store.groups(conn)
        fresh = await group_report(conn, record, last_nights=NIGHTS, now_us=NOW_US)
        await conn.execute("truncate light_reading, feeder_reading, passage_reading")
        later = TimeUs(NOW_US + 100 * 86_400 * US_PER_S)
        kept = await group_report(conn, record, last_nights=100 + NIGHTS, now_us=later)
        assert kept.savings == fresh.savings
        assert kept.light == fresh.light
        assert (kept.nights, kept.nights_left_out) == (NIGHTS, 100)
        await conn.execute("update lighting_night set night = '{}' where evening = '2026-11-19'")
        damaged = await group_report(conn, record, last_nights=100 + NIGHTS, now_us=later)
        assert damaged.nights == NIGHTS - 1
        assert await store.drop_old_nights(conn, date(2026, 11, 19)) == 4
        assert await service.drop_old_plans(conn, TimeUs(NOW_US + 4_000 * 86_400 * US_PER_S)) == 2


async def test_a_territory_without_groups_has_no_report(filled: str) -> None:
    async with client(filled, Scope.READ) as reader:
        assert (await reader.get(REPORT, params={"territory": "ailleurs"})).status_code == 404


@pytest.fixture
def served_key(filled: str) -> Iterator[dict[str, str]]:
    key = asyncio.run(make_key(filled, Scope.READ))
    with served(filled) as url:
        yield {"ECLOR_API_URL": url, "ECLOR_API_KEY": key}


def test_the_command_prints_the_report_and_writes_the_page(
    served_key: dict[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "bilan.html"
    words = ["lighting", "report", "--nights", "30"]
    told = CliRunner().invoke(main, [*words, "--html", str(page)], env=served_key)
    as_json = CliRunner().invoke(main, [*words, "--json"], env=served_key)
    nowhere = CliRunner().invoke(main, [*words, "--html", "/nonexistent/x.html"], env=served_key)
    assert told.exit_code == 0, told.output
    assert "nights of" in told.output
    assert "min by 1, of" in told.output
    assert {g["group"] for g in json.loads(as_json.output)["groups"]} == {"rue-centre", "rue-gare"}
    assert "Éclairage public" in page.read_text(encoding="utf-8")
    assert (nowhere.exit_code, "can be written" in nowhere.output) == (1, True)
