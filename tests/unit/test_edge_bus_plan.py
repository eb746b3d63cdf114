"""How busy a bus will be, against figures worked out by hand."""

import pytest

from edge.bus.plan import plan_of
from edge.config_buses import BusSettings, SerialSettings
from edge.config_devices import DeviceSettings
from protocols.ids import DeviceId
from protocols.profile import parse_profile

PROFILE = parse_profile(
    'name = "twenty"\ntitle = "20 registers"\nkind = "sample"\nstatus = "eclor"\nsource = "-"\n'
    + "".join(
        f'[points.p{address}]\naddress = {address}\nfunction = "input"\ntype = "uint16"\n'
        for address in range(20)
    ),
    source="twenty.toml",
)


def line(baud: int, *, medium: str = "rtu") -> BusSettings:
    serial = SerialSettings("/dev/ttyUSB0", baud)
    if medium == "rtu":
        return BusSettings("line1", "", 0, 1.0, "rtu", serial)
    return BusSettings("line1", "127.0.0.1", 502, 1.0)


def devices(count: int, *, interval_s: float) -> list[DeviceSettings]:
    return [
        DeviceSettings(DeviceId(f"d{unit}"), "line1", unit, PROFILE, 0, interval_s, 60)
        for unit in range(1, count + 1)
    ]


@pytest.mark.parametrize(
    ("baud", "request_ms"), [(9_600, 88.75), (19_200, 54.38), (115_200, 28.56)]
)
def test_a_read_of_twenty_registers_takes_what_the_formula_says(
    baud: int, request_ms: float
) -> None:
    """53 characters of 11 bits, two silences and 20 ms: 60.73 + 8.02 + 20 ms at 9,600 Bd."""
    plan = plan_of(line(baud), devices(1, interval_s=1.0))
    assert 1e3 * plan.longest_s == pytest.approx(request_ms, abs=0.01)
    assert plan.planned_pct == pytest.approx(request_ms / 10, abs=0.01)
    assert plan.bytes_per_s == 53


def test_a_bus_that_cannot_carry_its_devices_is_named_with_a_remedy() -> None:
    plan = plan_of(line(9_600), devices(20, interval_s=1.0))
    assert plan.overbooked
    assert "2.2 times as long, raise baud" in str(plan.remedy)
    assert plan_of(line(9_600), devices(5, interval_s=1.0)).remedy is None
    tight = plan_of(line(9_600), devices(10, interval_s=1.0))
    assert not tight.overbooked
    assert tight.remedy


def test_on_tcp_the_stated_round_trip_counts() -> None:
    plan = plan_of(line(0, medium="tcp"), devices(10, interval_s=1.0))
    assert plan.planned_pct == pytest.approx(20.0)
    assert plan.requests_per_s == pytest.approx(10.0)
    assert plan_of(line(9_600), []).planned_pct == 0
