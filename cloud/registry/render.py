"""A gateway's configuration file from the registry (docs/reference/edge-settings.md).

Devices that differ only by their index become one template, `lamp-{index:02d}`, as a person would
write it. No secret is in the file: it names systemd credentials.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from cloud.registry import toml
from cloud.registry.model import Bus, Device, Gateway, Site

_NUMBER = re.compile(r"(.*?)(\d{1,4})")


class Unrenderable(ValueError):  # noqa: N818 - says what is the matter
    """The registry does not know enough; the message says what to add."""


def render(gateway: Gateway, site: Site, devices: Sequence[Device]) -> str:
    """The TOML text of the agent's configuration. Devices without a bus are left out."""
    if gateway.uplink is None:
        raise Unrenderable(f"gateway {gateway.id!r} has no uplink; set it (host, port), then again")
    polled = [device for device in devices if device.bus is not None]
    parts = [
        f"# Configuration of {gateway.id}, made by `eclor provision render-config`.",
        "# Change the registry and make it again; check it with `eclor edge check`.",
        "",
        toml.table("gateway", _gateway(gateway, site)),
        toml.table("uplink", toml.without_none(gateway.uplink)),
        toml.table("outbox", {"max_bytes": gateway.outbox_max_bytes}),
        *(toml.table(f"buses.{name}", _bus(bus)) for name, bus in sorted(gateway.buses.items())),
        toml.table("lighting", toml.without_none(gateway.lighting)),
        *(toml.table("devices", entry, array=True) for entry in _entries(polled)),
    ]
    return "\n".join(parts)


def _gateway(gateway: Gateway, site: Site) -> dict[str, object]:
    state_dir = {"state_dir": gateway.state_dir} if gateway.state_dir else {}
    return {
        "id": gateway.id,
        "latitude": site.latitude,
        "longitude": site.longitude,
        **state_dir,
    }


def _bus(bus: Bus) -> dict[str, object]:
    given = toml.without_none(bus)
    if bus.type == "replay":
        del given["timeout_s"]  # nobody is waited for
    return given


def _entries(devices: Iterable[Device]) -> Iterable[dict[str, object]]:
    """One table a device, or a template for those that differ by index alone."""
    families: dict[tuple[str, str, bool], list[Device]] = defaultdict(list)
    for device in devices:
        template = _template(device)
        alike = toml.value(_reading(device))
        families[template or device.id, alike, template is None].append(device)
    for (name, *_), members in families.items():
        first = members[0]
        if len(members) == 1:
            index = {} if first.index is None else {"index": first.index}
            yield {"id": first.id, **_reading(first), **index}
        else:
            indexes = _ranges(sorted(member.index or 0 for member in members))
            yield {"id": name, "indexes": indexes, **_reading(first)}


def _reading(device: Device) -> dict[str, object]:
    """How a device is read; keys at None take the agent's defaults."""
    keys = (
        *("bus", "unit", "profile", "interval_s", "window_s", "max_silence_s", "deadband"),
        *("points", "stale_s", "retained"),
    )
    found = {key: getattr(device, key) for key in keys}
    if device.points is not None:
        found["kind"] = device.kind  # a profile says it otherwise
    return {key: value for key, value in found.items() if value is not None}


def _template(device: Device) -> str | None:
    """`lamp-{index:02d}` for lamp-07 of index 7; None if the name does not end in its index."""
    match = _NUMBER.fullmatch(device.id)
    if device.index is None or match is None or int(match[2]) != device.index:
        return None
    width = len(match[2])
    exact = str(device.index) == match[2]
    return f"{match[1]}{{index}}" if exact and width == 1 else f"{match[1]}{{index:0{width}d}}"


def _ranges(indexes: Sequence[int]) -> str:
    """[0, 1, 2, 5] is "0-2,5"."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(lo) if lo == hi else f"{lo}-{hi}" for lo, hi in runs)
