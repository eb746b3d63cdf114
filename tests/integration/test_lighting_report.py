"""The savings report over HTTP and by the command, from a metered territory with counted roads."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import main
from cloud.keys.model import Scope
from tests.integration.api_world import make_key
from tests.integration.seeded_territory import (
    BASELINE,
    LAMPS,
    feeder_energy,
    lamp_rows,
    passages,
    seed,
)
from tests.integration.test_lighting_routes import client
from tests.integration.test_provision_cli import served

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
    led, control = centre["led_share_pct"] / 100, centre["control_share_pct"] / 100
    assert 1 - (1 - led) * (1 - control) == pytest.approx(b0["saving_pct"] / 100, abs=0.002)
    assert b1["saving_pct"] == pytest.approx(100 * control, abs=0.1)
    assert body["totals"][0]["groups"] == 2


async def test_light_below_the_counted_class_is_in_the_report(filled: str) -> None:
    async with client(filled, Scope.READ) as reader:
        body = (await reader.get(REPORT, params={"nights": NIGHTS})).json()
    light = body["groups"][0]["light"]
    assert light["hours_two_lower"] > 30
    assert light["under_class_minutes"]["1"] == pytest.approx(60 * light["judged_h"])
    assert body["groups"][1]["light"]["judged_h"] == 0.0


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
    assert {g["group"] for g in json.loads(as_json.output)["groups"]} == {"rue-centre", "rue-gare"}
    assert "Éclairage public" in page.read_text(encoding="utf-8")
    assert (nowhere.exit_code, "can be written" in nowhere.output) == (1, True)
