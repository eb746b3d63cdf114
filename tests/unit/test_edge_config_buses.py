"""The [buses.NAME] of the settings: three kinds, and every fault named."""

from pathlib import Path

import pytest

from edge.config import BusSettings, load
from edge.config_buses import SerialSettings
from edge.errors import ConfigFaults

BASE = """
[gateway]
id = "cab-1"
state_dir = "{directory}"
latitude = 49.5
longitude = 5.8
[uplink]
host = "127.0.0.1"
[buses.line]
"""


def loaded(directory: Path, bus: str) -> BusSettings:
    file = directory / "edge.toml"
    file.write_text(BASE.format(directory=directory) + bus, encoding="utf-8")
    (settings,) = load(file).buses
    return settings


def test_a_serial_line_has_the_defaults_of_the_specification(tmp_path: Path) -> None:
    bus = loaded(tmp_path, 'type = "rtu"\ndevice = "/dev/ttyUSB0"')
    assert bus.serial == SerialSettings("/dev/ttyUSB0", 19_200, "even", 1)
    assert bus.framed_as_rtu


def test_a_converter_speaks_rtu_in_tcp(tmp_path: Path) -> None:
    bus = loaded(tmp_path, 'type = "rtu-over-tcp"\nhost = "10.0.0.5"\nport = 4001\necho = true')
    assert (bus.host, bus.port, bus.echo, bus.serial) == ("10.0.0.5", 4001, True, None)
    assert bus.framed_as_rtu


@pytest.mark.parametrize("host", ["10.0.0.5", "::1", "fe80::1%eth0", "meter", "cab-1.example.org."])
def test_names_and_addresses_of_hosts_are_taken(tmp_path: Path, host: str) -> None:
    assert loaded(tmp_path, f'host = "{host}"').host == host


def test_an_endpoint_is_asked_one_thing_at_a_time_unless_it_can_more(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'host = "10.0.0.5"').in_flight == 1
    bus = loaded(tmp_path, 'host = "10.0.0.5"\nin_flight = 8\novertake = false')
    assert (bus.in_flight, bus.overtake) == (8, False)


@pytest.mark.parametrize(
    ("bus", "told"),
    [
        ('type = "rtu"', "buses.line.device is missing"),
        ('type = "rtu"\ndevice = "/dev/ttyS0"\nbaud = 9601', "is not the speed of a serial line"),
        ('type = "rtu"\ndevice = "/dev/ttyS0"\nparity = "evn"', "did you mean 'even'?"),
        ('type = "rtu"\ndevice = "/dev/ttyS0"\nhost = "x"', "buses.line.host = 'x' is an unknown"),
        ('type = "rtu-over-tpc"\nhost = "x"', "did you mean 'rtu-over-tcp'?"),
        ('host = "10.20..5"', "is neither a name nor an address of a host"),
        ('host = "10.20.300.5"', "is neither a name nor an address of a host"),
        ('host = "http://meter"', "is neither a name nor an address of a host"),
        ('host = "x"\nin_flight = 17', "write a whole number from 1 to 16"),
        ('host = "x"\novertake = "no"', "write true or false"),
        (
            'type = "rtu"\ndevice = "/dev/ttyS0"\n[[devices]]\nid = "a"\nbus = "line"\nunit = 0\n'
            'profile = "eclor-gate"',
            "nobody answers a broadcast",
        ),
    ],
)
def test_every_fault_is_named_with_its_remedy(tmp_path: Path, bus: str, told: str) -> None:
    with pytest.raises(ConfigFaults) as caught:
        loaded(tmp_path, bus)
    assert told in str(caught.value)
