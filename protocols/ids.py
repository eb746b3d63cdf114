"""Names of things, checked once at the border and then trusted.

A gateway name is also the CN of its certificate and a level of its MQTT topics, so it must not
hold a character that means something there (`+`, `#`, `/`).
"""

import enum
import re
import uuid
from typing import NewType

TerritoryId = NewType("TerritoryId", str)
SiteId = NewType("SiteId", str)
GatewayId = NewType("GatewayId", str)
DeviceId = NewType("DeviceId", str)
GroupId = NewType("GroupId", str)
FacilityId = NewType("FacilityId", str)
Epoch = NewType("Epoch", uuid.UUID)
"""Identity of one outbox file: made with it, so that a new store never re-uses sequence numbers."""

_NAME = re.compile(r"[a-z0-9-]{3,40}")
_DEVICE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")


class IdError(ValueError):
    """A name that breaks its rule; the message says which rule."""


class Lane(enum.IntEnum):
    """Priority class of a batch: live data are sent before history."""

    LIVE = 1
    HISTORY = 2

    @property
    def label(self) -> str:
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> "Lane":
        for lane in cls:
            if lane.label == label:
                return lane
        raise IdError(f"lane {label!r} is unknown; use live or history")


def _name(text: str, what: str) -> str:
    if not _NAME.fullmatch(text):
        raise IdError(f"{what} {text!r} must be 3 to 40 characters of a-z, 0-9 and '-'")
    return text


def territory_id(text: str) -> TerritoryId:
    return TerritoryId(_name(text, "territory name"))


def site_id(text: str) -> SiteId:
    return SiteId(_name(text, "site name"))


def gateway_id(text: str) -> GatewayId:
    return GatewayId(_name(text, "gateway name"))


def group_id(text: str) -> GroupId:
    return GroupId(_name(text, "group name"))


def facility_id(text: str) -> FacilityId:
    return FacilityId(_name(text, "facility name"))


def device_id(text: str) -> DeviceId:
    """Check a device name; it is unique within its gateway only."""
    if not _DEVICE.fullmatch(text):
        raise IdError(
            f"device name {text!r} must be 1 to 63 characters of a-z, 0-9, '_', '.' and '-', "
            "beginning with a letter or digit"
        )
    return DeviceId(text)
