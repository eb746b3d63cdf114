"""Settings are read once, and every fault of a file is explained at once."""

import base64
from importlib import resources
from pathlib import Path

import pytest

from edge.config import EdgeConfig, load
from edge.config_reports import Deadband
from edge.errors import ConfigFaults, Fault

GOOD = """
[gateway]
id = "cab-centre-1"
state_dir = "{state}"
latitude = 49.52
longitude = 5.77
[uplink]
host = "127.0.0.1"
[buses.line1]
host = "127.0.0.1"
port = 5020
[[devices]]
id = "feeder"
bus = "line1"
unit = 1
profile = "eastron-sdm630"
[[devices]]
id = "lamp-{{index:02d}}"
indexes = "0-2,7"
bus = "line1"
unit = 2
profile = "eclor-luminaire"
interval_s = 5
window_s = 300
"""


def read(tmp_path: Path, text: str, **environ: str) -> EdgeConfig:
    path = tmp_path / "edge.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, environ=environ)


def faults(tmp_path: Path, text: str, **environ: str) -> dict[str, Fault]:
    with pytest.raises(ConfigFaults) as caught:
        read(tmp_path, text, **environ)
    assert all(fault.file.endswith("edge.toml") for fault in caught.value.faults)
    assert all(fault.problem and fault.remedy for fault in caught.value.faults)
    return {fault.key: fault for fault in caught.value.faults}


@pytest.fixture
def good(tmp_path: Path) -> str:
    return GOOD.format(state=tmp_path)


def test_a_template_becomes_one_device_an_index(tmp_path: Path, good: str) -> None:
    config = read(tmp_path, good)
    assert [device.id for device in config.devices] == [
        "feeder",
        "lamp-00",
        "lamp-01",
        "lamp-02",
        "lamp-07",
    ]
    assert [device.index for device in config.devices] == [0, 0, 1, 2, 7]
    assert config.devices[-1].window_s == 300
    assert config.uplink.protocol == "5"
    assert config.uplink.port == 1883
    assert config.outbox.max_bytes == 268_435_456
    assert config.lighting.fallback_level_pct == 100


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    text = """
    [gateway]
    id = "Centre"
    state_dir = "{file}/below"
    latitude = 149.5
    longitud = 5.77
    [uplink]
    host = ""
    port = 99999
    protocol = "4"
    [buses.line1]
    host = "127.0.0.1"
    timout_s = 2
    [[devices]]
    id = "feeder"
    bus = "line2"
    unit = 300
    profile = "eastron-sdm63"
    interval_s = 100
    window_s = 70
    [[devices]]
    id = "lamp"
    indexes = "0-99"
    bus = "line1"
    profile = "eclor-luminaire"
    [lightning]
    """.replace("{file}", str(tmp_path / "edge.toml"))
    found = faults(tmp_path, text)
    assert set(found) == {
        "gateway.id",
        "gateway.state_dir",
        "gateway.latitude",
        "gateway.longitude",
        "gateway.longitud",
        "uplink.host",
        "uplink.port",
        "uplink.protocol",
        "buses.line1.timout_s",
        "devices[0].bus",
        "devices[0].unit",
        "devices[0].profile",
        "devices[0].interval_s",
        "devices[0].window_s",
        "devices[1].indexes",
        "devices[1].id",
        "lightning",
    }
    assert "'longitude'" in found["gateway.longitud"].remedy
    assert "'timeout_s'" in found["buses.line1.timout_s"].remedy
    assert "'eastron-sdm630'" in found["devices[0].profile"].remedy
    assert "'lighting'" in found["lightning"].remedy


@pytest.mark.parametrize("text", ["[gateway", 'id = "a" "b"', "\ufffd = 1"])
def test_text_that_is_not_toml_names_the_place(tmp_path: Path, text: str) -> None:
    assert "not TOML" in faults(tmp_path, text)["(file)"].problem


def test_a_file_that_is_not_there_is_a_fault_too(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match="No such file"):
        load(tmp_path / "none.toml")


def test_an_empty_file_names_the_tables_it_needs(tmp_path: Path) -> None:
    assert {"gateway", "uplink"} <= set(faults(tmp_path, ""))


def test_device_names_are_unique_across_templates(tmp_path: Path, good: str) -> None:
    twin = '[[devices]]\nid = "lamp-07"\nbus = "line1"\nunit = 9\nprofile = "eclor-gate"\n'
    assert "devices[1]" in faults(tmp_path, good + twin)["devices[2].id"].problem


def test_two_names_for_the_same_registers_are_a_fault(tmp_path: Path, good: str) -> None:
    twin = '[[devices]]\nid = "meter"\nbus = "line1"\nunit = 1\nprofile = "eastron-sdm630"\n'
    assert "feeder" in faults(tmp_path, good + twin)["devices[2].id"].problem


@pytest.mark.parametrize("indexes", ["3-1", "a", "1-", "", "1,,2"])
def test_indexes_that_are_no_ranges_are_refused(tmp_path: Path, good: str, indexes: str) -> None:
    text = good.replace("0-2,7", indexes)
    assert "devices[1].indexes" in faults(tmp_path, text)


@pytest.mark.parametrize("template", ["lamp", "lamp-{n}", "lamp-{index:zz}", "Lamp-{index}"])
def test_a_template_must_give_each_index_its_name(tmp_path: Path, good: str, template: str) -> None:
    text = good.replace("lamp-{index:02d}", template)
    assert "devices[1].id" in faults(tmp_path, text)


def test_a_profile_file_beside_the_configuration_is_read(tmp_path: Path, good: str) -> None:
    text = good.replace('"eastron-sdm630"', '"meter.toml"')
    assert "cannot be read" in faults(tmp_path, text)["devices[0].profile"].problem
    (tmp_path / "meter.toml").write_text('name = "meter"\n', encoding="utf-8")
    assert "devices[0].profile" in faults(tmp_path, text)
    builtin = resources.files("protocols.profiles") / "eastron-sdm630.toml"
    (tmp_path / "meter.toml").write_text(builtin.read_text(encoding="utf-8"), encoding="utf-8")
    assert read(tmp_path, text).devices[0].profile.name == "eastron-sdm630"


def test_a_profile_fault_is_reported_once_however_many_devices_use_it(
    tmp_path: Path, good: str
) -> None:
    (tmp_path / "bad.toml").write_text("kind = 1\n[points", encoding="utf-8")
    text = good.replace('"eastron-sdm630"', '"bad.toml"')
    text += '[[devices]]\nid = "two"\nbus = "line1"\nunit = 8\nprofile = "bad.toml"\n'
    assert list(faults(tmp_path, text)) == ["devices[0].profile"]


def test_the_state_directory_comes_from_systemd_where_the_file_is_silent(
    tmp_path: Path, good: str
) -> None:
    text = good.replace("state_dir", "# state_dir")
    assert read(tmp_path, text, STATE_DIRECTORY=f"{tmp_path}:/x").gateway.state_dir == tmp_path
    assert "StateDirectory" in faults(tmp_path, text)["gateway.state_dir"].remedy


def test_a_password_in_the_file_is_refused_without_being_shown(tmp_path: Path, good: str) -> None:
    text = good.replace("[uplink]", '[uplink]\npassword = "hunter2"')
    with pytest.raises(ConfigFaults) as caught:
        read(tmp_path, text)
    assert [fault.key for fault in caught.value.faults] == ["uplink.password"]
    assert "hunter2" not in str(caught.value)


def test_the_password_comes_from_a_systemd_credential(tmp_path: Path, good: str) -> None:
    text = good.replace("[uplink]", '[uplink]\npassword_credential = "mqtt"')
    assert "LoadCredential" in faults(tmp_path, text)["uplink.password_credential"].remedy
    assert faults(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path))
    (tmp_path / "mqtt").write_text("s3cret\n", encoding="utf-8")
    config = read(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert config.uplink.password == "s3cret"
    assert "s3cret" not in repr(config)


def test_a_silence_and_its_deadbands_are_read(tmp_path: Path, good: str) -> None:
    text = (
        good
        + """max_silence_s = 900
[devices.deadband]
power = 0.5
voltage = { absolute = 1, relative_pct = 2 }
"""
    )
    lamp = read(tmp_path, text).devices[-1]
    assert lamp.max_silence_s == 900
    assert lamp.deadband == {"power": Deadband(0.5), "voltage": Deadband(1, 0.02)}
    assert read(tmp_path, good).devices[-1].max_silence_s == 0


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ("max_silence_s = 1000", "max_silence_s", "does not divide an hour"),
        ("max_silence_s = 120", "max_silence_s", "whole windows of 300 s"),
        ("deadband = { power = 1 }", "deadband", "no effect without max_silence_s"),
        ("max_silence_s = 900\ndeadband = { powr = 1 }", "deadband.powr", "did you mean 'power'"),
        ("max_silence_s = 900\ndeadband = { energy = 1 }", "deadband.energy", "no point"),
        ("max_silence_s = 900\ndeadband = { power = -1 }", "deadband.power", "out of range"),
        (
            "max_silence_s = 900\ndeadband = { power = { relativ_pct = 1 } }",
            "deadband.power.relativ_pct",
            "did you mean 'relative_pct'",
        ),
    ],
)
def test_a_faulty_deadband_is_explained(
    tmp_path: Path, good: str, lines: str, key: str, said: str
) -> None:
    fault = faults(tmp_path, good + lines)[f"devices[1].{key}"]
    assert said in str(fault)


SENSORS = """
[buses.local]
type = "mqtt"
host = "127.0.0.1"
username = "eclor"
password_credential = "sensors"
[[devices]]
id = "climate"
bus = "local"
kind = "ambient"
[devices.points.temperature]
topic = "a/b"
path = "t"
column = "temperature_c"
"""


def test_sensors_are_read_beside_the_polled_devices(tmp_path: Path, good: str) -> None:
    (tmp_path / "sensors").write_text("geheim\n", encoding="utf-8")
    config = read(tmp_path, good + SENSORS, CREDENTIALS_DIRECTORY=str(tmp_path))
    (sensor,) = config.sensors
    assert sensor.topics[0].path == ("t",)
    assert sensor.profile.points[0].unit == "degC"
    assert config.sensor_buses[0].link.password == "geheim"
    assert "geheim" not in repr(config)
    assert sensor not in config.devices
    assert config.measured == (*config.devices, sensor)


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ('topic = "a/b"', 'topic = "a/+"', "devices[2].points.temperature.topic", "is a filter"),
        ('topic = "a/b"', "", "devices[2].points.temperature.topic", "is missing"),
        ('"temperature_c"', '"temperatur"', "devices[2].points.temperature.column", "did you mean"),
        ('kind = "ambient"', "", "devices[2].points.temperature.column", "kind sample"),
        ('kind = "ambient"', "unit = 3", "devices[2].unit", "unknown key"),
        ('path = "t"', "flag = 1", "devices[2].points.temperature.flag", "not one flag"),
        ('path = "t"', "counter_bits = 16", "devices[2].points.temperature.counter_bits", "no cou"),
        ('path = "t"', "scale = 0", "devices[2].points.temperature.scale", "makes every value 0"),
        ('path = "t"', 'retained = "yes"', "devices[2].points.temperature.retained", "unknown key"),
        ("[devices.points.temperature]", "[devices.point.t]", "devices[2].points", "is missing"),
        (
            "[devices.points.temperature]",
            '[devices.points.t]\ntopic = "c"\ncolumn = "temperature_c"\n'
            "[devices.points.temperature]",
            "devices[2].points.temperature.column",
            "is fed by point t already",
        ),
        ('type = "mqtt"', 'type = "mqtt"\npassword = "x"', "buses.local.password", "a secret"),
        ('type = "mqtt"', 'type = "mqtts"', "buses.local.type", "did you mean 'mqtt'"),
    ],
)
def test_a_faulty_sensor_is_explained(
    tmp_path: Path, good: str, old: str, new: str, key: str, said: str
) -> None:
    (tmp_path / "sensors").write_text("geheim", encoding="utf-8")
    text = good + SENSORS.replace(old, new, 1)
    found = faults(tmp_path, text, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert said in str(found[key])


def test_a_faulty_template_of_sensors_is_told_once(tmp_path: Path, good: str) -> None:
    text = good + SENSORS.replace('id = "climate"', 'id = "climate-{index}"\nindexes = "0-9"')
    text = text.replace('path = "t"', "scale = 0").replace("password_credential", "username2")
    with pytest.raises(ConfigFaults) as caught:
        read(tmp_path, text)
    keys = [fault.key for fault in caught.value.faults]
    assert sorted(keys) == ["buses.local.username2", "devices[2].points.temperature.scale"]


def test_a_replay_bus_names_its_trace(tmp_path: Path, good: str) -> None:
    replay = '[buses.record]\ntype = "replay"\ntrace = "trace.jsonl"\nspeed = 10\n'
    device = '[[devices]]\nid = "old"\nbus = "record"\nprofile = "eclor-gate"\n'
    assert "is not a file" in str(faults(tmp_path, good + replay + device)["buses.record.trace"])
    (tmp_path / "trace.jsonl").write_text("", encoding="utf-8")
    config = read(tmp_path, good + replay + device)
    assert [device.id for device in config.replayed] == ["old"]
    assert config.replay_buses[0].speed == 10


def test_lamps_without_a_key_for_plans_are_worth_a_note(tmp_path: Path, good: str) -> None:
    key = base64.b64encode(bytes(32)).decode()
    (note,) = read(tmp_path, good).notes
    assert "plan_key is missing" in note
    assert not read(tmp_path, f'{good}\n[lighting]\nplan_key = "{key}"').notes
    (note,) = read(tmp_path, f"{good}\n[lighting]\nunsigned_plans = true").notes
    assert "unsigned_plans" in note
    both = f'{good}\n[lighting]\nunsigned_plans = true\nplan_key = "{key}"'
    assert faults(tmp_path, both)["lighting.unsigned_plans"].value is True
