"""Plans made from plain counts, for the tests of lighting."""

from collections.abc import Sequence

from cloud.lighting.model import Group, Place, gateway_plan, group_plan, validity
from cloud.lighting.traffic import HOUR_US, HourCount, bounds
from protocols.ids import gateway_id
from protocols.plan import Plan
from protocols.time import TimeUs

__all__ = ["HOUR_US", "plan_of"]


def plan_of(group: Group, counts: Sequence[HourCount], place: Place, now_us: int) -> Plan:
    """The plan of one group as it is issued at `now_us`."""
    now = TimeUs(now_us)
    valid = validity(now, place.zone)
    known = bounds(counts, zone=place.zone, cut_us=valid.from_us, now_us=now)
    part = group_plan(group, known, place, valid)
    return gateway_plan(gateway_id("cab-centre-1"), [part], place=place, valid=valid, now_us=now)
