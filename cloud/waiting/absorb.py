"""What a finished opening changes in what is known of a site: between two lessons, from day to day.

Once its site has emptied an opening tells what its detectors left over, how long cars were inside,
whose clock is off and, where the counters err little, how long cars waited. Each is moved a little,
and more where the past has told little, so that a detector that ages, a clock that drifts or a site
that has become slower is known within days.
"""

from __future__ import annotations

from dataclasses import replace

from cloud.waiting import gains, labels, little
from cloud.waiting.clocks import Clocks, listened, settled
from cloud.waiting.site import OpeningCounts, SiteModel


def absorb(model: SiteModel, finished: OpeningCounts) -> SiteModel:
    """The model after one more opening, whose counts end when its site had emptied."""
    heard = listened(Clocks.of(model), finished, refill_s=model.refill_s)
    seen = settled(finished, heard)
    told = gains.and_one_more(model.residues, seen)
    laws = gains.detector_laws(told)
    known = (model.mean_service_s, model.service_cars)
    service_s, cars = little.and_one_more(known, seen, laws)
    moved = replace(
        model,
        clocks=heard.heard,
        residues=told,
        detectors=laws,
        mean_service_s=service_s,
        service_cars=cars,
    )
    return labels.recalibrated(moved, seen)
