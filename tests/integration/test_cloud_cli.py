"""`eclor cloud`: what a person sees, and the exit codes that a script sees."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner, Result

from cli.cloud import cloud
from cloud.ingest.accept import accept
from cloud.rollups import service, store
from tests.integration.deliveries import GATEWAY, add_gateways, lamp_delivery
from tests.services.mosquitto import Broker
from tests.services.process import accepts_connections

LIMIT_S = 30
ECLOR = (sys.executable, "-c", "from cli.main import main; main()")
COMMANDS = ("migrate", "ingest", "api", "jobs", "up", "rollup", "doctor")


@pytest.fixture(autouse=True)
def empty_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file of the test's own, so that one in /etc does not matter."""
    path = tmp_path / "cloud.toml"
    path.touch()
    monkeypatch.setenv("ECLOR_CONFIG", str(path))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cloud, arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "Example" in result.output
    assert f"eclor cloud {command}" in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_faults_of_the_settings_are_listed_with_exit_code_2(
    command: str, empty_settings: Path
) -> None:
    empty_settings.write_text("[api]\nport = 0\n[jobz]\n", encoding="utf-8")
    result = run(command)
    assert result.exit_code == 2
    assert result.output.count(str(empty_settings)) == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["migrate", "doctor"])
def test_an_absent_database_is_one_line_with_exit_code_1(
    command: str, unused_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECLOR_DATABASE_URL", f"postgresql://127.0.0.1:{unused_port}/eclor")
    result = run(command)
    assert result.exit_code == 1
    assert "ECLOR_DATABASE_URL" in result.output
    assert result.output.count("\n") == 1


def test_what_the_server_refuses_is_one_line_with_its_remedy(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the packages of TimescaleDB were updated every statement of a database ends so."""
    said = 'could not access file "$libdir/timescaledb-2.19.3": No such file or directory'

    def look(conn: psycopg.Connection) -> None:
        raise psycopg.errors.UndefinedFile(said)

    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    monkeypatch.setattr("cloud.storage.doctor.diagnose", look)
    result = run("doctor")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert said in result.output
    assert "alter extension timescaledb update" in result.output
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        conn.execute("revoke all on rollup_dirty from current_user")
    result = run("rollup")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "the database refused: permission denied for table rollup_dirty" in result.output


def test_migrate_and_doctor_tell_the_same_story(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECLOR_DATABASE_URL", database_url)
    before = run("doctor")
    assert before.exit_code == 1
    assert "run eclor cloud migrate" in before.output
    applied = json.loads(run("migrate", "--json").output)["applied"]
    assert applied[0] == "0001_registry"
    assert json.loads(run("migrate", "--json").output)["applied"] == []
    after = run("doctor", "--json")
    diagnosis = json.loads(after.output)
    assert diagnosis["pending"] == []
    assert diagnosis["edition"] in ("plain", "timescale")
    assert after.exit_code == (0 if diagnosis["healthy"] else 1)


def test_rollup_sums_up_now_and_again_after_a_time_zone_was_corrected(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        accept(conn, [lamp_delivery(1)])
        assert run("rollup").output == "1 marks: 1 hours and 1 days changed\n"
        conn.execute("update territory set time_zone = 'Pacific/Auckland'")
        done = json.loads(run("rollup", "--again", "longwy", "--json").output)
        assert done == {"marks": 1, "hours": 0, "days": 1, "gone": 0, "faulty": 0}
        days = conn.execute("select day, rows from light_day order by day").fetchall()
        assert days == [(date(2025, 11, 25), 5)]
    refused = run("rollup", "--again", "longvy")
    assert refused.exit_code == 1
    assert "no territory is called 'longvy'" in refused.output


def test_rollup_has_longer_than_other_statements(
    empty_settings: Path, migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    add_gateways(migrated_database_url, GATEWAY)
    accept_one(migrated_database_url)
    empty_settings.write_text("[database]\nstatement_timeout_s = 0.001\n", encoding="utf-8")
    done = run("rollup", "--again", "longwy")
    assert (done.exit_code, done.output) == (0, "2 marks: 1 hours and 1 days changed\n")


def test_rollup_waits_for_another_session_and_says_so_when_it_gives_up(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    monkeypatch.setattr(service, "PAUSE_S", 0.01)
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url) as other:
        accept_one(migrated_database_url)
        assert store.lock(other)
        monkeypatch.setattr(service, "WAIT_S", 0.05)
        refused = run("rollup")
        assert refused.exit_code == 1
        assert refused.output.startswith("Error: another session sums up or drops readings")
        assert refused.output.count("\n") == 1
        monkeypatch.setattr(service, "WAIT_S", float(LIMIT_S))
        monkeypatch.setattr(time, "sleep", lambda _: other.rollback())
        assert run("rollup").output == "1 marks: 1 hours and 1 days changed\n"


def accept_one(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        accept(conn, [lamp_delivery(1)])


def test_a_taken_port_is_one_line(
    broker: Broker, empty_settings: Path, migrated_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    empty_settings.write_text(f"[api]\nport = {broker.port}\n", encoding="utf-8")
    done = subprocess.run(
        [*ECLOR, "cloud", "api"],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("Error: the API cannot listen on")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("role", ["jobs", "up"])
def test_a_missing_plan_key_is_one_line(
    role: str, broker: Broker, empty_settings: Path, migrated_database_url: str, unused_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ECLOR_DATABASE_URL", migrated_database_url)
    monkeypatch.setenv("ECLOR_BROKER_URL", broker.url)
    text = f'[api]\nport = {unused_port}\n[jobs]\nplan_key_file = "/nowhere/plan.key"\n'
    empty_settings.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [*ECLOR, "cloud", role],
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Error: /nowhere/plan.key: No such file or directory; make it" in done.stderr


def test_all_roles_run_in_one_process_and_end_with_exit_code_0(
    broker: Broker, empty_settings: Path, database_url: str, unused_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ECLOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ECLOR_BROKER_URL", broker.url)
    empty_settings.write_text(f"[api]\nport = {unused_port}\n", encoding="utf-8")
    with subprocess.Popen(
        [*ECLOR, "cloud", "up"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        wanted = {"eclor.api role_started", "eclor.ingest broker_connected", "jobs_started"}
        told = ""
        while wanted and (line := process.stderr.readline()):
            told += line
            wanted = {words for words in wanted if words not in line}
        assert not wanted, told
        assert accepts_connections(unused_port)
        process.send_signal(signal.SIGTERM)
        told += process.stderr.read()
        assert process.wait(LIMIT_S) == 0, told
    assert "Traceback" not in told
