"""The demo territory as a registry document: what an engineer would write by hand."""

from collections.abc import Iterator, Mapping
from typing import Any

from firmware_sim.scenario import DeviceSpec, FacilitySpec, LightingGroupSpec, SiteSpec, Territory
from protocols.ids import DeviceId, GatewayId
from protocols.profile import builtin
from protocols.quantities import Kind

Address = tuple[str, int]
"""Host and port of a Modbus TCP endpoint."""

_WINDOW_S, _INTERVAL_S = 10, 5


def document(
    territory: Territory,
    addresses: Mapping[GatewayId, Address],
    broker: Mapping[str, Any],
    plan_key: str | None = None,
) -> dict[str, list[dict[str, Any]]]:
    """The registry of `territory`: lamps and meters in short windows, so that a viewer sees them
    move, gates counted by the minute. Each gateway needs an address; with `plan_key` it takes
    only plans that this public key has signed."""
    sites = territory.sites
    return {
        "territories": [
            {"id": territory.territory, "name": territory.name, "time_zone": territory.time_zone}
        ],
        "sites": [_site(territory, site) for site in sites],
        "gateways": [
            _gateway(territory, site, addresses, broker)
            | ({"lighting": {"plan_key": plan_key}} if plan_key else {})
            for site in sites
        ],
        "devices": [device for site in sites for device in _devices(site)],
        "groups": [_group(territory, site, group) for site in sites for group in site.groups],
        "facilities": [
            _facility(territory, site, site.facility) for site in sites if site.facility is not None
        ],
    }


def _site(territory: Territory, site: SiteSpec) -> dict[str, Any]:
    return {
        "territory": territory.territory,
        "id": site.site,
        "name": site.name,
        "kind": site.kind.value,
        "latitude": site.latitude_deg,
        "longitude": site.longitude_deg,
    }


def _gateway(
    territory: Territory,
    site: SiteSpec,
    addresses: Mapping[GatewayId, Address],
    broker: Mapping[str, Any],
) -> dict[str, Any]:
    host, port = addresses[site.gateway.gateway]
    return {
        "id": site.gateway.gateway,
        "territory": territory.territory,
        "site": site.site,
        "uplink": dict(broker),
        "buses": {site.gateway.bus: {"host": host, "port": port}},
    }


def _devices(site: SiteSpec) -> Iterator[dict[str, Any]]:
    for spec in site.gateway.devices:
        for device, index in spec.devices():
            yield {
                "gateway": site.gateway.gateway,
                "id": device,
                "title": spec.title,
                "bus": site.gateway.bus,
                "unit": spec.unit,
                "index": index,
                **_measured(spec),
            }


def _measured(spec: DeviceSpec) -> dict[str, Any]:
    profile = builtin(spec.profile)
    fast = profile.kind is not Kind.PASSAGE
    return {
        "kind": profile.kind.label,
        "profile": spec.profile,
        "interval_s": float(_INTERVAL_S if fast else spec.interval_s),
        "window_s": _WINDOW_S if fast else spec.window_s,
    }


def _group(territory: Territory, site: SiteSpec, group: LightingGroupSpec) -> dict[str, Any]:
    return {
        "territory": territory.territory,
        "id": group.group,
        "name": group.name,
        "gateway": site.gateway.gateway,
        "devices": list(group.devices),
        "rated_power_w": group.rated_power_w,
        "baseline_power_w": group.baseline_power_w,
        "baseline_name": group.baseline_name,
        "normal_level_pct": group.normal_level_pct,
        "reduced_levels": list(group.reduced_levels_pct),
        "counter": _reference(site, group.counter),
        "capacity_per_h": group.capacity_per_h,
        "switch_elevation_deg": group.switch_elevation_deg,
    }


def _facility(territory: Territory, site: SiteSpec, facility: FacilitySpec) -> dict[str, Any]:
    return {
        "territory": territory.territory,
        "site": site.site,
        "id": facility.facility,
        "name": facility.name,
        "bays": facility.bays,
        "mean_service_s": facility.mean_service_s,
        "opening": {day: [list(span) for span in spans] for day, spans in facility.opening.items()},
        "holidays": "none",  # the simulated cars know no holiday
        "tail": _reference(site, facility.tail),
        "entry": _reference(site, facility.entry),
        "exit": _reference(site, facility.exit),
    }


def _reference(site: SiteSpec, device: DeviceId | None) -> str | None:
    return None if device is None else f"{site.gateway.gateway}/{device}"
