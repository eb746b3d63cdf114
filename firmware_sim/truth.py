"""The truth behind the registers, as JSON lines: what estimates are scored against.

One record a thing and instant (`what`: lamp, road, facility, fault), and one a car (`what`: visit)
at the time at which it joined. Docs: docs/firmware-sim.md.
"""

import json
from collections.abc import Iterator

from firmware_sim.counters import visit_record
from firmware_sim.history import Plan, dusk_to_dawn, follow
from firmware_sim.world import SiteWorld
from protocols.time import US_PER_S


def lines(
    site: SiteWorld, *, from_us: int, to_us: int, interval_s: int = 60, plan: Plan = dusk_to_dawn
) -> Iterator[str]:
    """Truth of `site` over [from_us, to_us), ascending; the site's world moves on with it."""
    before_us = from_us - 1
    for t_us in range(from_us, to_us, interval_s * US_PER_S):
        site.advance(t_us)
        follow(site, plan)
        yield from _visits(site, before_us)
        yield from (_line(record) for record in site.truth())
        yield from _faults(site, before_us)
        before_us = t_us


def _visits(site: SiteWorld, before_us: int) -> Iterator[str]:
    """The cars that have joined since `before_us`."""
    if site.centre is None or site.spec.facility is None:
        return
    for visit in site.centre.visits():
        if visit.joined_us > before_us:
            yield _line(visit_record(site.spec.facility.facility, visit))


def _faults(site: SiteWorld, before_us: int) -> Iterator[str]:
    """The faults that have ended, and the events, since `before_us`; `truth` has the others."""
    for outage in site.faults.past:
        if outage.until_us is not None and outage.until_us > before_us:
            yield _line(site.stamped(outage.record()))


def _line(record: dict[str, object]) -> str:
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False) + "\n"
