"""How busy a bus will be: what its devices ask for, in time on the line. Pure.

A read of n registers on a serial line takes T = (8 + 5 + 2 n) 11 / Bd + 2 t3.5 + turnaround: the
frames of Modbus over serial line 1.02, 2.5.1, one silence by which the unit knows that the request
is over and one before the next request, and the unit's own time. On TCP, where the speed behind the
endpoint is not known, it takes the round trip that the settings state (`turnaround_s`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.bus import pdu, rtu
from edge.config_buses import BusSettings
from edge.config_devices import DeviceSettings
from edge.sampling import poll_groups
from protocols.registers import ReadBlock

_REQUEST_BYTES = 8
_MBAP_BYTES = 7
FULL_PCT = 100.0
COMFORTABLE_PCT = 80.0
"""Above it commands wait noticeably, and one unit without an answer makes polls late."""


@dataclass(frozen=True, slots=True)
class LinePlan:
    """What a bus has to carry. `longest_s` is the longest single request: what a command waits."""

    name: str
    medium: str
    units: int
    devices: int
    requests_per_s: float
    bytes_per_s: float
    planned_pct: float
    longest_s: float

    @property
    def overbooked(self) -> bool:
        return self.planned_pct > FULL_PCT

    @property
    def remedy(self) -> str | None:
        """What to do about a bus that is too busy; None if it is not."""
        if self.planned_pct <= COMFORTABLE_PCT:
            return None
        factor = self.planned_pct / COMFORTABLE_PCT
        longer = f"make interval_s {factor:.1f} times as long"
        faster = ", raise baud" if self.medium == "rtu" else ""
        return f"{longer}{faster}, move devices to another bus, or leave out points of the profiles"


def plan_of(bus: BusSettings, devices: Sequence[DeviceSettings]) -> LinePlan:
    """The plan of one bus with its devices."""
    groups = poll_groups(devices)
    reads = [(read, group.interval_s) for group in groups for read in group.reads]
    times_s = [request_s(bus, read) for read, _ in reads]
    busy = sum(time_s / every_s for time_s, (_, every_s) in zip(times_s, reads, strict=True))
    return LinePlan(
        name=bus.name,
        medium=bus.medium,
        units=len({device.unit for device in devices}),
        devices=len(devices),
        requests_per_s=sum(1 / every_s for _, every_s in reads),
        bytes_per_s=sum(_bytes(bus, read) / every_s for read, every_s in reads),
        planned_pct=100 * busy / bus.in_flight,
        longest_s=max(times_s, default=0.0),
    )


def request_s(bus: BusSettings, read: ReadBlock) -> float:
    """How long one read keeps the bus busy."""
    if bus.serial is None:
        return bus.turnaround_s
    characters_s = _bytes(bus, read) * rtu.character_s(bus.serial.baud)
    return characters_s + 2 * rtu.silence_s(bus.serial.baud) + bus.turnaround_s


def _bytes(bus: BusSettings, read: ReadBlock) -> int:
    """Bytes of request and reply."""
    request = pdu.read_request(read.function, read.address, read.count)
    if bus.framed_as_rtu:
        return _REQUEST_BYTES + rtu.frame_bytes(request)
    return 2 * _MBAP_BYTES + len(request) + pdu.reply_bytes(request)
