"""The [buses.NAME] of the configuration that speak Modbus: TCP endpoints and serial lines."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edge.config_check import Table
from edge.config_devices import DeviceSettings

Medium = Literal["tcp", "rtu", "rtu-over-tcp"]
Parity = Literal["none", "even", "odd"]

MEDIA: tuple[Medium, ...] = ("tcp", "rtu", "rtu-over-tcp")
NO_MODBUS = ("mqtt", "replay")
"""Types of [buses.NAME] that are read elsewhere (edge.config)."""
MAX_IN_FLIGHT = 16
"""Modbus Messaging on TCP/IP 1.0b, 4.4.1.2: a server takes 1 to 16 transactions at once."""
_LAST_UNIT = 247  # Modbus over serial line 1.02, 2.2
_PARITIES: tuple[Parity, ...] = ("even", "none", "odd")
_BAUDS = (1_200, 2_400, 4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400)


@dataclass(frozen=True, slots=True)
class SerialSettings:
    """The port of a serial line. Modbus over serial line 1.02, 2.5.1: even parity by default."""

    path: str
    baud: int = 19_200
    parity: Parity = "even"
    stop_bits: int = 1


@dataclass(frozen=True, slots=True)
class BusSettings:
    """A Modbus bus; `timeout_s` is how long a reply may take.

    `turnaround_s` is how long the units take to begin a reply, by which the bus use is planned; on
    TCP it is the whole round trip. `in_flight` requests, to different units, may be outstanding on
    TCP; `overtake`: a request that takes far longer than usual lets the others go on.
    `echo`: the adapter of a serial line gives back what it sends. `broadcast_s` is the pause after
    a broadcast, in which the units obey it.
    """

    name: str
    host: str
    port: int
    timeout_s: float
    medium: Medium = "tcp"
    serial: SerialSettings | None = None
    turnaround_s: float = 0.02
    in_flight: int = 1
    overtake: bool = True
    echo: bool = False
    broadcast_s: float = 0.1

    @property
    def framed_as_rtu(self) -> bool:
        return self.medium != "tcp"


def check_units(
    root: Table, buses: Iterable[BusSettings], devices: Iterable[DeviceSettings]
) -> None:
    """Note devices that cannot be where they are said to be."""
    lines = {bus.name for bus in buses if bus.framed_as_rtu}
    for device in devices:
        if device.bus in lines and not 1 <= device.unit <= _LAST_UNIT:
            problem = (
                f"is no unit of a serial line (device {device.id}): nobody answers a broadcast"
            )
            root.fault("devices.unit", device.unit, problem, f"use 1 to {_LAST_UNIT}")


def read_bus(name: str, table: Table) -> BusSettings:
    """A bus that speaks Modbus, and the faults of its table."""
    medium = _medium(table)
    settings = _serial_bus(name, table) if medium == "rtu" else _tcp_bus(name, table, medium)
    table.close()
    return settings


def _medium(table: Table) -> Medium:
    chosen = table.choice("type", (*MEDIA, *NO_MODBUS), default="tcp")
    return next(medium for medium in MEDIA if medium == chosen)


def _serial_bus(name: str, table: Table) -> BusSettings:
    serial = SerialSettings(
        path=table.text("device", remedy='name the port, as in "/dev/ttyUSB0"'),
        baud=_baud(table),
        parity=_parity(table),
        stop_bits=table.integer("stop_bits", 1, 2, default=1),
    )
    return BusSettings(
        name=name,
        host="",
        port=0,
        timeout_s=_timeout_s(table),
        medium="rtu",
        serial=serial,
        turnaround_s=_turnaround_s(table),
        echo=table.boolean("echo", default=False),
        broadcast_s=_broadcast_s(table),
    )


def _tcp_bus(name: str, table: Table, medium: Medium) -> BusSettings:
    host = table.host("host", remedy="write the endpoint's name or address")
    port = table.integer("port", 1, 65_535, default=502)
    timeout_s, turnaround_s = _timeout_s(table), _turnaround_s(table)
    if medium == "tcp":
        return BusSettings(
            name,
            host,
            port,
            timeout_s,
            turnaround_s=turnaround_s,
            in_flight=table.integer("in_flight", 1, MAX_IN_FLIGHT, default=1),
            overtake=table.boolean("overtake", default=True),
        )
    return BusSettings(
        name,
        host,
        port,
        timeout_s,
        medium,
        turnaround_s=turnaround_s,
        echo=table.boolean("echo", default=False),
        broadcast_s=_broadcast_s(table),
    )


def _timeout_s(table: Table) -> float:
    return table.number("timeout_s", 0.05, 60, default=1.0)


def _turnaround_s(table: Table) -> float:
    return table.number("turnaround_s", 0, 10, default=0.02)


def _broadcast_s(table: Table) -> float:
    # Modbus over serial line 1.02, 2.4.1: typically 100 to 200 ms at 9,600 Bd.
    return table.number("broadcast_s", 0, 10, default=0.1)


def _baud(table: Table) -> int:
    baud = table.integer("baud", _BAUDS[0], _BAUDS[-1], default=19_200)
    if baud not in _BAUDS:
        known = ", ".join(str(speed) for speed in _BAUDS)
        table.fault("baud", baud, "is not the speed of a serial line", f"use one of {known}")
    return baud


def _parity(table: Table) -> Parity:
    chosen = table.choice("parity", _PARITIES, default="even")
    return next(parity for parity in _PARITIES if parity == chosen)
