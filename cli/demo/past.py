"""What the demo's lamps did in the past days: the plans that the cloud would have made then.

For each past night the planner of the service is asked, with the counts of the three weeks before
that noon on the same simulated road, so that past nights and those to come follow one practice.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cloud.lighting.demand import Demands
from cloud.lighting.model import Group, Place, gateway_plan, last_noon, validity
from cloud.lighting.planner import Wanted, plan_groups
from cloud.lighting.power import declared
from cloud.lighting.store import factors
from cloud.lighting.traffic import HOUR_US, HourCount, bounds
from firmware_sim import traffic
from firmware_sim.civil import CivilTime
from firmware_sim.events import EventTally
from firmware_sim.history import Plan as Practice
from firmware_sim.scenario import LightingGroupSpec, RoadCounter, SiteSpec, Territory
from protocols.plan import Plan, level_at
from protocols.time import US_PER_S, TimeUs, from_datetime

WEEKS = 3
"""Weeks counted before the first past night: enough for a bound of each hour of the week."""

DARK_DEG = 0.0
"""Above this no lamp is lit, whatever the plan's angle: most of the day is not looked up."""


def practice(site: SiteSpec, territory: Territory, from_us: int, to_us: int) -> Practice | None:
    """The level of the site's lamps in [from_us, to_us); None where there is no counted group."""
    if not site.groups or not site.counters:
        return None
    (spec, *_), (counter, *_) = site.groups, site.counters
    civil = CivilTime(territory.time_zone)
    place = Place(site.latitude_deg, site.longitude_deg, ZoneInfo(territory.time_zone))
    group = _group(spec)
    counted = _counted(counter, site, territory.seed, civil, from_us, to_us)
    noon = last_noon(from_us, place.zone)
    plans: list[Plan] = []
    while from_datetime(noon) < to_us:
        plans.append(_planned(site, group, counted, place, from_datetime(noon)))
        day = noon.date() + timedelta(days=1)
        noon = datetime.combine(day, noon.time(), place.zone)
    begins = [plan.valid_from_us for plan in plans]

    def level(local: datetime, elevation_deg: float) -> float:
        if elevation_deg > DARK_DEG:
            return 0.0
        t_us = from_datetime(local)
        plan = plans[bisect_right(begins, t_us) - 1]
        return level_at(plan, plan.groups[0], t_us, clock_sure=True).level_pct

    return level


def _group(spec: LightingGroupSpec) -> Group:
    return Group(
        group=spec.group,
        devices=spec.devices,
        switch_elevation_deg=spec.switch_elevation_deg,
        normal_level_pct=spec.normal_level_pct,
        factors=factors(list(spec.reduced_levels_pct)),
        capacity_per_h=spec.capacity_per_h,
        lamp=declared(spec.rated_power_w),
        baseline_w=spec.baseline_power_w * len(spec.devices),
    )


def _planned(
    site: SiteSpec, group: Group, counted: list[HourCount], place: Place, noon_us: TimeUs
) -> Plan:
    """The plan as it was issued at a past noon; it knows the counts up to then."""
    valid = validity(noon_us, place.zone)
    known = bounds(counted, zone=place.zone, cut_us=valid.from_us, now_us=noon_us)
    (planned,) = plan_groups([Wanted(Demands(group, known))], place, valid)
    gateway = site.gateway.gateway
    return gateway_plan(gateway, [planned.part], place=place, valid=valid, now_us=noon_us)


def _counted(
    counter: RoadCounter,
    site: SiteSpec,
    seed: int,
    civil: CivilTime,
    from_us: int,
    to_us: int,
) -> list[HourCount]:
    """Hours of the road from WEEKS before `from_us` on, as its loop counted them."""
    begin = from_us - from_us % HOUR_US - WEEKS * 7 * 86_400 * US_PER_S
    road = traffic.tally(counter, site=site.gateway.gateway, seed=seed, civil=civil, start_us=begin)
    found: list[HourCount] = []
    road.advance(begin)
    before = _total(road)
    for end in range(begin + HOUR_US, to_us, HOUR_US):
        road.advance(end)
        now = _total(road)
        found.append(HourCount(TimeUs(end - HOUR_US), now - before))
        before = now
    return found


def _total(road: EventTally) -> int:
    return road.total("forward") + road.total("backward")
