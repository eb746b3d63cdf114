"""Places as GeoJSON (RFC 7946): longitude first, WGS 84."""

from collections.abc import Sequence
from typing import Any

from cloud.export.model import Device, Site
from cloud.readings.model import Row

MEDIA_TYPE = "application/geo+json"


def of_site(site: Site) -> dict[str, Any]:
    properties = {
        "territory": site.territory,
        "site": site.id,
        "name": site.name,
        "kind": site.kind,
        "gateways": site.gateways,
    }
    return _feature(f"{site.territory}/{site.id}", site.longitude, site.latitude, properties)


def of_device(device: Device) -> dict[str, Any]:
    """A device where it is: at its site, which is all that the registry knows."""
    properties = {
        "territory": device.territory,
        "site": device.site,
        "gateway": device.gateway,
        "device": device.id,
        "kind": device.kind,
        "title": device.title,
        "declared": device.declared,
    }
    identity = f"{device.gateway}/{device.id}"
    return _feature(identity, device.longitude, device.latitude, properties)


def _feature(
    identity: str, longitude: float, latitude: float, properties: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": identity,
        "geometry": {"type": "Point", "coordinates": [longitude, latitude]},
        "properties": properties,
    }


def with_latest(
    features: Sequence[dict[str, Any]], rows: Sequence[Row], names: Sequence[str]
) -> None:
    """Put the newest row of each device beside its other properties, as `latest`."""
    newest = {f"{row.gateway}/{row.device}": row for row in rows}
    for each in features:
        row = newest.get(each["id"])
        each["properties"]["latest"] = row and {
            "t": row.t,
            "window_s": row.window_s,
            "quality": row.quality,
            "values": dict(zip(names, row.values, strict=True)),
        }
