"""`eclor export` against a real API: files that are complete, or not there."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import nanoarrow
import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.main import main
from cloud.ingest.accept import accept
from cloud.keys.model import Scope
from cloud.rollups import service
from protocols.ids import GatewayId
from tests.integration.api_world import DOCUMENT, make_key
from tests.integration.deliveries import lamp_delivery
from tests.integration.test_provision_cli import served

GATEWAY = GatewayId("cab-centre-1")
SPAN = ("--from", "2025-11-24T16:50", "--to", "2025-11-24T17:00")  # 15:50 to 16:00 UTC


@pytest.fixture
def environment(migrated_database_url: str) -> Iterator[dict[str, str]]:
    """An API with a territory and fifteen minutes of a lamp; its address and a key."""
    admin = asyncio.run(make_key(migrated_database_url, Scope.ADMIN))
    with served(migrated_database_url) as url:
        headers = {"Authorization": f"Bearer {admin}"}
        answer = httpx.post(f"{url}/api/v1/registry", json=DOCUMENT, headers=headers)
        assert answer.is_success, answer.text
        with psycopg.connect(migrated_database_url, autocommit=True) as conn:
            accept(conn, [lamp_delivery(seq, gateway=GATEWAY) for seq in (1, 2, 3)])
            service.catch_up(conn)
        yield {"ECLOR_API_URL": url, "ECLOR_API_KEY": admin}


def run(environment: dict[str, str], *words: str | Path) -> Result:
    told = CliRunner().invoke(main, ["export", *map(str, words)], env=environment)
    assert "Traceback" not in told.output
    return told


@pytest.mark.database
def test_readings_come_as_csv_and_as_arrow(environment: dict[str, str], tmp_path: Path) -> None:
    printed = run(environment, "readings", "light", *SPAN)
    assert (printed.exit_code, printed.stderr) == (0, "each row is a reading\n")
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert [row["t"] for row in rows] == [f"2025-11-24T15:{m}:00+00:00" for m in range(50, 60)]
    file = tmp_path / "lamps.arrow"
    saved = run(environment, "readings", "light", *SPAN, "--gateway", GATEWAY, "-o", file)
    assert (saved.exit_code, saved.stdout) == (0, "")
    assert f"{file}: {file.stat().st_size:,} bytes" in saved.stderr
    table = nanoarrow.ArrayStream.from_readable(file.read_bytes()).read_all().to_pylist()
    assert [str(row["energy_wh"]) for row in table] == [row["energy_wh"] for row in rows]


@pytest.mark.database
def test_hours_of_one_device_in_the_clock_of_the_person(
    environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "hours.csv"
    span = ("--from", "2025-11-24", "--to", "2025-11-25", "--resolution", "hour")
    run(environment, "readings", "light", *span, "--device", "lamp-00", "-o", file)
    [hour] = csv.DictReader(file.read_text().splitlines())
    assert (hour["t"], hour["rows"]) == ("2025-11-24T15:00:00+00:00", "15")
    zone = ("--time-zone", "Pacific/Auckland")  # where that hour belongs to the 25th
    run(environment, "readings", "light", *span, *zone, "-o", file)
    assert file.read_text().count("\n") == 1, "the head alone"


@pytest.mark.database
def test_energy_and_places_come_as_files_for_others(
    environment: dict[str, str], tmp_path: Path
) -> None:
    span = ("--from", "2025-11-24", "--to", "2025-11-25")
    energy = run(environment, "energy", *span)
    [day] = csv.DictReader(io.StringIO(energy.stdout))
    assert (day["name"], day["day"], day["devices"]) == ("rue-du-centre", "2025-11-24", "3")
    file = tmp_path / "lamps.geojson"
    lamps = run(environment, "devices", "--kind", "light", "--gateway", GATEWAY, "-o", file)
    assert lamps.exit_code == 0, lamps.output
    found = json.loads(file.read_text())["features"]
    assert [each["properties"]["latest"] is None for each in found] == [False, True, True, True]
    sites = run(environment, "sites", "--territory", "val-bas")
    assert [each["id"] for each in json.loads(sites.stdout)["features"]] == ["val-bas/gare"]


RAW_MONTHS = ("--from", "2025-01-01", "--to", "2025-06-01", "--resolution", "raw")
MISTAKES = [
    (("readings", "light", *SPAN, "-o", "lamps.xlsx"), 2, "Name it .csv or .arrow"),
    (("readings", "light", "--from", "yesterday"), 2, "write 2026-01-31 or 2026-01-31T18:00"),
    (("readings", "light", *SPAN, "--time-zone", "Paris"), 2, "like Europe/Paris or UTC"),
    (("readings", "light", *SPAN, "--gateway", "cab-9"), 1, "cab-9"),
    (("readings", "light", *RAW_MONTHS), 2, "export by the month, by gateway, or resolution=hour"),
    (("readings", "light", *SPAN, "-o", "nowhere/lamps.csv"), 2, "cannot be written"),
    (("energy", "--from", "2025-01", "--to", "2025-02-01"), 2, "write 2026-01-31"),
    (("energy", "--from", "2025-02-01", "--to", "2025-01-01"), 2, "choose from < to"),
]


@pytest.mark.database
def test_a_mistake_is_told_with_its_remedy_and_leaves_no_file(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, exit_code, told in MISTAKES:
        done = run(environment, *words)
        assert (done.exit_code, list(tmp_path.iterdir())) == (exit_code, []), words
        assert told in " ".join(done.stderr.split())


@pytest.mark.database
def test_what_is_cut_off_leaves_the_earlier_file(
    environment: dict[str, str],
    migrated_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cloud.export.stream.ROWS_A_PAGE", 4)
    file = tmp_path / "lamps.csv"
    run(environment, "readings", "light", *SPAN, "-o", file)
    before = file.read_bytes()
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        # The third page of the export meets a row that cannot be read.
        conn.execute("alter table device rename to device_away")
        conn.execute(
            "create function once(int) returns int language plpgsql as"
            " $$begin raise exception 'gone'; end$$"
        )
        conn.execute(
            "create view device as select * from device_away"
            " where device_id > 0 and (name <> 'lamp-01' or once(1) = 1)"
        )
    done = run(environment, "readings", "light", *SPAN, "-o", file)
    assert done.exit_code == 1
    assert "was cut off" in done.stderr
    assert (list(tmp_path.iterdir()), file.read_bytes()) == ([file], before)


def test_an_api_that_is_away_is_one_line(unused_port: int, tmp_path: Path) -> None:
    environment = {"ECLOR_API_URL": f"http://127.0.0.1:{unused_port}", "ECLOR_API_KEY": "k"}
    done = run(environment, "sites", "-o", tmp_path / "sites.geojson")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "check that `eclor cloud api` runs there" in done.stderr
    assert list(tmp_path.iterdir()) == []
