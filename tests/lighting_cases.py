"""Plans made from plain counts, for the tests of lighting."""

from collections.abc import Sequence

from cloud.lighting.demand import Demands
from cloud.lighting.model import Group, Place, gateway_plan, validity
from cloud.lighting.planner import Wanted, plan_groups
from cloud.lighting.traffic import HOUR_US, HourCount, bounds
from protocols.ids import gateway_id
from protocols.plan import Plan
from protocols.time import TimeUs

__all__ = ["HOUR_US", "ROAD", "RULE", "SEGMENT", "plan_of"]

ROAD = {
    "speed": "moderate",
    "composition": "mixed",
    "separated": "no",
    "junctions": "dense",
    "parked": "no",
    "ambient": "moderate",
    "guidance": "easy",
}
SEGMENT = {"norm": "cen-2014", "family": "M", "parameters": ROAD, "designed_class": "M3"}
"""A two-lane road: M3 at high traffic, M4 and M5 below."""

RULE = {
    "kind": "extinction",
    "start": "23:30",
    "end": "05:00",
    "first_day": "2026-01-01",
    "decided_by": "Conseil municipal",
    "decided_on": "2025-12-15",
    "reference": "Arrêté municipal 2025-118",
}
"""A decision of a council, as the API takes it."""


def plan_of(group: Group, counts: Sequence[HourCount], place: Place, now_us: int) -> Plan:
    """The plan of one group as it is issued at `now_us`."""
    now = TimeUs(now_us)
    valid = validity(now, place.zone)
    known = bounds(counts, zone=place.zone, cut_us=valid.from_us, now_us=now)
    (planned,) = plan_groups([Wanted(Demands(group, known))], place, valid)
    parts = [planned.part]
    return gateway_plan(gateway_id("cab-centre-1"), parts, place=place, valid=valid, now_us=now)
