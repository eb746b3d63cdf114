"""`eclor provision` and `eclor cloud key` against a real server on loopback."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from click.testing import CliRunner, Result

from cli.main import main
from cli.provision import provision
from cloud.api.app import create_app
from cloud.keys.model import Scope
from cloud.registry.files import write_toml
from tests.integration.api_world import DOCUMENT, make_key, settings

pytestmark = pytest.mark.database


@contextmanager
def served(database_url: str) -> Iterator[str]:
    """The URL of the API, run by uvicorn in a thread of its own."""
    config = uvicorn.Config(create_app(settings(database_url)), log_level="error", ws="none")
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # clients may connect before the server is up
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


class Shell:
    """Runs `eclor provision` with the address and the key in the environment."""

    def __init__(self, url: str, key: str) -> None:
        self.environment = {"ECLOR_API_URL": url, "ECLOR_API_KEY": key}

    def run(self, *arguments: str | Path) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(provision, words, env=self.environment, catch_exceptions=False)

    def ok(self, *arguments: str | Path) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def shell(migrated_database_url: str) -> Iterator[Shell]:
    key = asyncio.run(make_key(migrated_database_url, Scope.PROVISION))
    with served(migrated_database_url) as url:
        yield Shell(url, key)


@pytest.fixture
def territory_file(tmp_path: Path) -> Path:
    path = tmp_path / "territory.toml"
    path.write_text(write_toml(DOCUMENT), encoding="utf-8")
    return path


def lines(result: Result) -> Sequence[str]:
    return result.stderr.strip().splitlines()


@pytest.mark.parametrize("form", ["toml", "csv"])
def test_import_export_import_is_identical(
    shell: Shell, territory_file: Path, tmp_path: Path, form: str
) -> None:
    assert "created: 19, updated: 0, unchanged: 0" in shell.ok("import", territory_file)
    exported = tmp_path / f"exported.{form}"
    shell.ok("export", "--format", form, "-o", exported)
    assert shell.ok("import", exported).strip() == "created: 0, updated: 0, unchanged: 19"
    assert shell.ok("export", "--format", form) == exported.read_text(encoding="utf-8")


def test_a_dry_run_prints_the_changes_and_makes_none(shell: Shell, territory_file: Path) -> None:
    said = shell.ok("import", territory_file, "--dry-run")
    assert "+ gateway:cab-centre-1" in said
    assert "would be created: 19" in said
    assert shell.ok("export") == ""


def test_every_fault_of_a_csv_is_told_with_line_key_value_and_remedy(
    shell: Shell, territory_file: Path, tmp_path: Path
) -> None:
    shell.ok("import", territory_file)
    sheet = tmp_path / "devices.csv"
    sheet.write_text(
        "record;gateway;id;kind;bus;unit;profile;index;indexes\n"
        "device;cab-centre-1;lamp-04;light;line1;2;eclor-luminaire;4;\n"
        "device;cab-centre-1;lamp-05;light;line1;two;eclor-luminaire;5;\n"
        "device;cab-centre-9;lamp-06;light;;;;;\n"
        "device;cab-centre-1;lamp-07;light;line2;2;eclor-lumnaire;7;\n"
        "device;cab-centre-1;lamp;light;line1;2;eclor-luminaire;;0-3\n",
        encoding="utf-8",
    )
    result = shell.run("import", sheet)
    assert result.exit_code == 2
    told = result.stderr
    assert "line 3: unit = 'two': Input should be a valid integer" in told
    assert "line 4: gateway = 'cab-centre-9': is an unknown gateway; did you mean" in told
    assert "line 5: profile = 'eclor-lumnaire': is unknown; did you mean 'eclor-luminaire'" in told
    assert "line 5: bus = 'line2': is no bus of the gateway; did you mean 'line1'?" in told
    assert "line 6: id = 'lamp': names every index alike" in told
    assert "nothing was imported" in told
    assert "Traceback" not in told
    assert "lamp-04" not in shell.ok("device", "list")


def test_a_fault_in_toml_is_told_with_the_line_of_its_table(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        '[[territories]]\nid = "pays-haut"\nname = "P"\n\n[[territories]]\nid = "x"\nname = "X"\n',
        encoding="utf-8",
    )
    result = shell.run("import", path)
    assert result.exit_code == 2
    assert "bad.toml: [[territories]] 2, line 5: id = 'x'" in result.stderr


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("bad.toml", "id = ", "is not TOML"),
        ("bad.toml", "[sites]\nid = 1\n", "write [[sites]]"),
        ("bad.csv", "gateway,id\na,b\n", "needs a column 'record'"),
        ("bad.txt", "", "name a .toml or a .csv file"),
    ],
)
def test_an_unreadable_file_is_a_usage_fault(
    shell: Shell, tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    result = shell.run("import", tmp_path / name)
    assert result.exit_code == 2
    assert told in result.stderr


def test_objects_are_added_listed_shown_changed_and_removed(shell: Shell) -> None:
    shell.ok("territory", "add", "pays-haut", "--name", "Pays-Haut")
    where = ("--latitude", "49.52", "--longitude", "5.77")
    shell.ok("site", "add", "pays-haut/centre", "--name", "Centre", "--kind", "cabinet", *where)
    shell.ok(
        "gateway", "add", "cab-1", "--site", "pays-haut/centre",
        "--uplink", "broker.example.org:8883", "--bus", "line1=192.168.1.20:5020",
    )  # fmt: skip
    shell.ok(
        "device", "add", "cab-1/lamp-00", "--kind", "light", "--bus", "line1", "--unit", "2",
        "--profile", "eclor-luminaire", "--index", "0",
    )  # fmt: skip
    shell.ok("device", "add", "cab-1/entry", "--kind", "passage")
    shell.ok("device", "add", "cab-1/tail", "--kind", "passage")
    shell.ok(
        "group", "add", "pays-haut/rue-haute", "--name", "Rue Haute", "--gateway", "cab-1",
        "--device", "lamp-00", "--rated-power", "40", "--baseline-power", "110",
        "--baseline-name", "sodium",
    )  # fmt: skip
    nord = (
        "facility", "add", "pays-haut/centre/nord", "--name", "Nord", "--bays", "4",
        "--mean-service", "300", "--entry", "cab-1/entry", "--tail-reach", "12", "--flows", "2",
        "--opening", '{"mon": [["09:00", "12:00"]]}',
    )  # fmt: skip
    assert "tail_reach = 12: is of no counter" in shell.run(*nord).stderr
    shell.ok(*nord, "--tail", "cab-1/tail")
    listed = shell.ok("gateway", "list").splitlines()
    assert listed[0].split() == ["id", "territory", "site", "uplink"]
    assert listed[1].split() == ["cab-1", "pays-haut", "centre", "broker.example.org:8883"]
    assert json.loads(shell.ok("gateway", "list", "--json"))[0]["buses"]["line1"]["port"] == 5020
    assert "lamps" in shell.ok("group", "list", "--territory", "pays-haut")
    assert "nord" in shell.ok("facility", "list")
    shown = shell.ok("facility", "show", "pays-haut/centre/nord", "--json")
    nord_shown = json.loads(shown)
    assert (nord_shown["tail"], nord_shown["tail_reach"]) == ("cab-1/tail", 12)
    assert nord_shown["flows"] == 2
    again = shell.run("device", "add", "cab-1/entry", "--kind", "passage", "--title", "Entrée")
    assert again.exit_code == 1
    assert "use --replace" in again.stderr
    shell.ok("device", "add", "cab-1/entry", "--kind", "passage", "--title", "Entrée", "--replace")
    assert "Entrée" in shell.ok("device", "show", "cab-1/entry")
    held = shell.run("device", "remove", "cab-1/entry")
    assert held.exit_code == 1
    assert "is needed by a facility" in held.stderr
    shell.ok("facility", "remove", "pays-haut/centre/nord")
    shell.ok("device", "remove", "cab-1/entry")
    assert shell.run("device", "show", "cab-1/entry").exit_code == 1


def test_a_wrong_value_on_the_command_line_is_told_with_its_remedy(
    shell: Shell, territory_file: Path
) -> None:
    shell.ok("import", territory_file)
    result = shell.run("device", "add", "gate-1/meter", "--kind", "feeder", "--bus", "line1")
    assert result.exit_code == 2
    assert "profile = None: is missing" in result.stderr
    assert "bus = 'line1': is no bus of the gateway" in result.stderr


def test_a_serial_bus_reaches_the_gateways_settings(shell: Shell, tmp_path: Path) -> None:
    shell.ok("territory", "add", "pays-haut", "--name", "Pays-Haut")
    where = ("--latitude", "49.52", "--longitude", "5.77")
    shell.ok("site", "add", "pays-haut/centre", "--name", "Centre", "--kind", "cabinet", *where)
    shell.ok(
        "gateway", "add", "cab-1", "--site", "pays-haut/centre", "--uplink", "broker.example.org",
        "--bus", "meters=/dev/ttyUSB0@9600", "--bus", "lamps=192.168.1.20",
    )  # fmt: skip
    settings = tmp_path / "edge.toml"
    shell.ok("render-config", "cab-1", "-o", settings)
    buses = tomllib.loads(settings.read_text())["buses"]
    assert buses["meters"] == {
        "type": "rtu", "device": "/dev/ttyUSB0", "baud": 9600, "timeout_s": 1.0
    }  # fmt: skip
    assert buses["lamps"] == {"type": "tcp", "host": "192.168.1.20", "timeout_s": 1.0}
    assert CliRunner().invoke(main, ["edge", "check", str(settings)]).exit_code == 0
    wrong = shell.run(
        "gateway", "add", "cab-2", "--site", "pays-haut/centre", "--bus", "m=/dev/ttyUSB0@fast"
    )
    assert wrong.exit_code == 2
    assert "write the speed as a number" in wrong.stderr


def test_a_bus_with_keys_of_another_type_is_told_key_by_key(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "buses.toml"
    path.write_text(
        write_toml(DOCUMENT)
        + '\n[[gateways]]\nid = "cab-9"\nterritory = "pays-haut"\nsite = "centre"\n'
        'buses = { a = { type = "rtu", host = "h" }, b = { baud = 9600 } }\n',
        encoding="utf-8",
    )
    told = shell.run("import", path).stderr
    assert "buses.a.device = None: is missing" in told
    assert "buses.a.host = 'h': has no meaning for a bus of type 'rtu'" in told
    assert "buses.b.host = None: is missing" in told
    assert "buses.b.baud = 9600: has no meaning for a bus of type 'tcp'" in told


SENSORS = """
[[gateways]]
id = "cab-9"
territory = "pays-haut"
site = "centre"
uplink = { host = "broker" }
[gateways.buses]
line = { type = "rtu", device = "/dev/ttyUSB0" }
local = { type = "mqtt", host = "127.0.0.1", keepalive_s = 60, max_waiting = 50 }
old = { type = "replay", trace = "old.jsonl", speed = 10.0 }
[[devices]]
gateway = "cab-9"
id = "meter"
kind = "feeder"
bus = "line"
unit = 4
profile = "eastron-sdm630"
max_silence_s = 900
deadband = { power = 5.0, voltage_l1 = { absolute = 1.0, relative_pct = 0.5 } }
[[devices]]
gateway = "cab-9"
id = "noise"
kind = "sample"
bus = "local"
stale_s = 900
points = { noise_db = { topic = "noise/1", path = "a.b", unit = "dB", scale = 0.1 } }
"""


def test_sensors_traces_and_reports_by_exception_reach_the_gateways_settings(
    shell: Shell, tmp_path: Path
) -> None:
    path = tmp_path / "sensors.toml"
    path.write_text(write_toml(DOCUMENT) + SENSORS, encoding="utf-8")
    shell.ok("import", path)
    again = tmp_path / "again.toml"
    again.write_text(shell.ok("export"), encoding="utf-8")
    exported = {device["id"]: device for device in tomllib.loads(again.read_text())["devices"]}
    assert exported["noise"]["points"]["noise_db"]["scale"] == 0.1
    shell.ok("import", again)
    (tmp_path / "old.jsonl").write_text("", encoding="utf-8")
    settings = tmp_path / "edge.toml"
    shell.ok("render-config", "cab-9", "-o", settings)
    rendered = tomllib.loads(settings.read_text())
    meter, noise = rendered["devices"]
    assert (meter["max_silence_s"], meter["deadband"]["power"]) == (900, 5.0)
    assert (noise["kind"], noise["points"]["noise_db"]["topic"]) == ("sample", "noise/1")
    checked = CliRunner().invoke(main, ["edge", "check", str(settings)])
    assert checked.exit_code == 0, checked.output

    wrong = SENSORS.replace("max_silence_s = 900", "max_silence_s = 7").replace(
        'topic = "noise/1", ', ""
    ).replace("speed = 10.0", "speed = 10.0, host = 'h'")  # fmt: skip
    path.write_text(write_toml(DOCUMENT) + wrong, encoding="utf-8")
    told = shell.run("import", path).stderr
    assert "max_silence_s = 7: does not divide an hour" in told
    assert "points.noise_db.topic = None: is missing" in told
    assert "buses.old.host = 'h': has no meaning for a bus of type 'replay'" in told


def test_names_of_the_wrong_form_are_usage_faults(shell: Shell) -> None:
    for arguments in (
        ("device", "show", "lamp-00"),
        ("site", "remove", "a/b/c"),
        ("device", "add", "lamp-00", "--kind", "light"),
    ):
        result = shell.run(*arguments)
        assert result.exit_code == 2, arguments
        assert "/" in result.stderr


def test_without_a_server_or_a_key_the_remedy_is_told(
    shell: Shell, unused_port: int, tmp_path: Path
) -> None:
    away = shell.run("--api-url", f"http://127.0.0.1:{unused_port}", "territory", "list")
    assert away.exit_code == 1
    assert "eclor cloud api" in away.stderr
    shell.environment["ECLOR_API_KEY"] = ""
    refused = shell.run("territory", "list")
    assert refused.exit_code == 2
    assert "set ECLOR_API_KEY or --api-key-file" in refused.stderr
    missing = shell.run("--api-key-file", tmp_path / "none", "territory", "list")
    assert missing.exit_code == 2
    assert len(lines(missing)) == 1


def test_the_key_is_read_from_a_file(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(shell.environment["ECLOR_API_KEY"] + "\n", encoding="utf-8")
    shell.environment["ECLOR_API_KEY"] = ""
    shell.ok("--api-key-file", path, "territory", "list")


def test_a_rendered_configuration_is_one_that_the_agent_takes(
    shell: Shell, territory_file: Path, tmp_path: Path
) -> None:
    shell.ok("import", territory_file)
    path = tmp_path / "edge.toml"
    shell.ok("render-config", "cab-centre-1", "-o", path)
    rendered = tomllib.loads(path.read_text(encoding="utf-8"))
    assert rendered["gateway"] == {"id": "cab-centre-1", "latitude": 49.52, "longitude": 5.77}
    assert [device["id"] for device in rendered["devices"]] == ["feeder", "lamp-{index:02d}"]
    assert rendered["devices"][1]["indexes"] == "0-3"
    # The cloud may not import the agent: it is asked as a program of its own.
    program = (
        "import pathlib, sys; from edge.config import load; "
        "config = load(pathlib.Path(sys.argv[1]), environ={'STATE_DIRECTORY': sys.argv[2]}); "
        "print(*[(d.id, d.unit, d.index, d.interval_s, d.window_s) for d in config.devices])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "('lamp-03', 2, 3, 10.0, 60)" in found.stdout
    assert "('feeder', 1, 0, 10.0, 60)" in found.stdout


def test_a_gateway_without_uplink_cannot_be_rendered_and_says_why(
    shell: Shell, territory_file: Path
) -> None:
    shell.ok("import", territory_file)
    result = shell.run("render-config", "gate-1")
    assert result.exit_code == 1
    assert "has no uplink; set it" in result.stderr


def test_names_are_completed_from_the_registry(shell: Shell, territory_file: Path) -> None:
    shell.ok("import", territory_file)
    environment = shell.environment | {
        "_ECLOR_COMPLETE": "bash_complete",
        "COMP_WORDS": "eclor provision gateway show cab-",
        "COMP_CWORD": "4",
    }
    result = CliRunner().invoke(main, [], prog_name="eclor", env=environment)
    assert result.stdout.split() == ["plain,cab-centre-1", "plain,cab-gare-1"]


def test_a_key_made_on_the_server_opens_the_api_until_it_is_revoked(
    migrated_database_url: str,
) -> None:
    runner, environment = CliRunner(), {"ECLOR_DATABASE_URL": migrated_database_url}
    made = runner.invoke(
        main, ["cloud", "key", "create", "--name", "admin", "--scope", "admin"], env=environment
    )
    assert made.exit_code == 0, made.output
    text = made.stdout.strip()
    with served(migrated_database_url) as url:
        shell = Shell(url, text)
        shell.ok("territory", "list")
        listed = runner.invoke(main, ["cloud", "key", "list", "--json"], env=environment)
        assert text.split("_", 2)[2] not in listed.stdout
        key_id = json.loads(listed.stdout)[0]["key_id"]
        assert (
            runner.invoke(main, ["cloud", "key", "revoke", key_id], env=environment).exit_code == 0
        )
        assert shell.run("territory", "list").exit_code == 2


def test_faults_of_key_commands_are_one_clear_line(
    migrated_database_url: str, unused_port: int
) -> None:
    runner = CliRunner()
    create = ["create", "--name", "x", "--scope", "read"]
    good = {"ECLOR_DATABASE_URL": migrated_database_url}
    away = {"ECLOR_DATABASE_URL": f"postgresql://eclor@127.0.0.1:{unused_port}/eclor"}
    unknown = runner.invoke(main, ["cloud", "key", *create, "--territory", "nowhere"], env=good)
    assert (unknown.exit_code, len(lines(unknown))) == (2, 1)
    missing = runner.invoke(main, ["cloud", "key", "revoke", "000000000000"], env=good)
    assert (missing.exit_code, len(lines(missing))) == (1, 1)
    down = runner.invoke(main, ["cloud", "key", *create], env=away)
    assert (down.exit_code, len(lines(down))) == (1, 1)
    assert "ECLOR_DATABASE_URL" in down.stderr


def test_an_empty_database_says_what_to_run(database_url: str) -> None:
    result = CliRunner().invoke(
        main, ["cloud", "key", "list"], env={"ECLOR_DATABASE_URL": database_url}
    )
    assert result.exit_code == 1
    assert "eclor cloud migrate" in result.stderr
