"""What an export of places holds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """A place with gateways; degrees, WGS 84."""

    territory: str
    id: str
    name: str
    kind: str
    longitude: float
    latitude: float
    gateways: int


@dataclass(frozen=True, slots=True)
class Device:
    """What a gateway reads, at its site; `declared` is false where it only sent data."""

    territory: str
    site: str
    gateway: str
    id: str
    kind: str
    title: str | None
    declared: bool
    longitude: float
    latitude: float
