"""Faults that a site meets after it was learned: the model stays, the counters or the bays change.

Each fault makes other test openings of the reference site out of the same cars, or hides counts of
them. Answers are held against those on the clean openings; what a fault leaves of the detectors
says which clean ones: without a tail, those of situation B. Where the site itself changed, whose
waits are others then, they are held against those of a model that was learned there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.waiting_methods.case import Answer, Case, Labelled
from benchmarks.waiting_methods.ours import Eclor
from benchmarks.waiting_scores.score import Scored, invalid, scored
from benchmarks.waiting_truth.cases import labelled, play
from benchmarks.waiting_truth.design import Counter, Design
from benchmarks.waiting_truth.detectors import uncovered
from benchmarks.waiting_truth.simulate import openings
from cloud.waiting.model import Situation
from cloud.waiting.site import Declared, Detector, OpeningCounts, Vector

FROM_STEP, LOST_STEPS, DEAD_STEPS = 60, 10, 30
"""A fault that comes and goes begins after an hour, minutes long each."""

TOLERATED = 1.3
WINDOW_MIN = 5
"""Errors of so many minutes together tell whether the estimate has recovered."""

Change = Callable[[Design], Design]
Mask = Callable[[OpeningCounts], OpeningCounts]


@dataclass(frozen=True, slots=True)
class Fault:
    """`change`: the site as it is now; `mask`: what is hidden while one asks in `during` (steps),
    and for good where `lasting`. `clean`: the situation whose clean openings it is held against.
    `moved`: it is the site that changed, not its counters."""

    name: str
    change: Change = lambda design: design
    mask: Mask | None = None
    during: range = range(0)
    lasting: bool = False
    clean: Situation = Situation.A
    moved: bool = False


def _counters(change: Callable[[Counter], Counter]) -> Change:
    def changed(design: Design) -> Design:
        return replace(
            design, counters={one: change(counter) for one, counter in design.counters.items()}
        )

    return changed


def _late_clock(detector: Detector, offset_s: float) -> Change:
    def changed(design: Design) -> Design:
        counters = dict(design.counters)
        counters[detector] = replace(counters[detector], offset_s=offset_s)
        return replace(design, counters=counters)

    return changed


def _more_bays(bays: int) -> Change:
    return lambda design: replace(design, bays=design.bays + bays)


def slower(factor: float) -> Change:
    def changed(design: Design) -> Design:
        served = design.service
        return replace(
            design,
            service=replace(
                served,
                mean_s=served.mean_s * factor,
                trailer_mean_s=served.trailer_mean_s * factor,
            ),
        )

    return changed


def _hidden(steps: slice, *detectors: Detector) -> Mask:
    return lambda counts: uncovered(counts, steps, detectors or tuple(Detector))


_LOSS = range(FROM_STEP, FROM_STEP + LOST_STEPS)
_DEATH = range(FROM_STEP, FROM_STEP + DEAD_STEPS)
_ALWAYS = slice(FROM_STEP, None)

FAULTS = (
    Fault("misses_3_pct", _counters(lambda one: replace(one, miss=0.03))),
    Fault("misses_8_pct", _counters(lambda one: replace(one, miss=0.08))),
    Fault("doubles_40_pct", _counters(lambda one: replace(one, double=0.40))),
    Fault(
        "tail_dead",
        mask=_hidden(_ALWAYS, Detector.TAIL),
        lasting=True,
        clean=Situation.B,
    ),
    Fault("exit_dead", mask=_hidden(_ALWAYS, Detector.EXIT), lasting=True),
    Fault(
        "tail_dead_30_min",
        mask=_hidden(slice(_DEATH.start, _DEATH.stop), Detector.TAIL),
        during=_DEATH,
        lasting=True,
        clean=Situation.B,
    ),
    Fault(
        "counter_reboot",
        mask=_hidden(slice(FROM_STEP, FROM_STEP + 1)),
        during=range(FROM_STEP, FROM_STEP + 1),
        lasting=True,
    ),
    Fault("link_loss_10_min", mask=_hidden(slice(_LOSS.start, _LOSS.stop)), during=_LOSS),
    Fault("tail_clock_60_s_late", _late_clock(Detector.TAIL, 60.0)),
    Fault("tail_clock_60_s_early", _late_clock(Detector.TAIL, -60.0)),
    Fault("exit_clock_60_s_late", _late_clock(Detector.EXIT, 60.0)),
    Fault("exit_clock_60_s_early", _late_clock(Detector.EXIT, -60.0)),
    Fault("a_bay_more", _more_bays(1), moved=True),
    Fault("a_bay_less", _more_bays(-1), moved=True),
    Fault("service_30_pct_slower", slower(1.3), moved=True),
    Fault("service_30_pct_faster", slower(0.7), moved=True),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What a fault did: errors over clean ones, coverage of 80 %, minutes until it was over, and
    answers that are negative or no numbers."""

    mae_ratio: float
    cov80: float
    recovery_min: float | None
    invalid: int = 0


def judge(design: Design, seed: int, tested: int, say: Callable[[str], None]) -> Mapping[str, Told]:
    """Learn once from clean openings, then meet every fault on the last `tested` openings."""
    say("learning")
    ours = _learned(design, seed)
    clean = {
        situation: _asked(Met(ours), _tested(design, seed, tested, situation), seed)
        for situation in (Situation.A, Situation.B)
    }
    found = {}
    for fault in FAULTS:
        say(fault.name)
        now = fault.change(design)
        cases = _tested(now, seed, tested, Situation.A)
        usual = clean[fault.clean]
        if fault.moved:
            usual = _asked(Met(_learned(now, seed)), cases, seed)
        found[fault.name] = _told(fault, _asked(Met(ours, fault), cases, seed), usual)
    return found


def _learned(design: Design, seed: int) -> Eclor:
    fit, _ = play(design, seed).cases(Situation.A)
    ours = Eclor(Situation.A, Declared(design.bays, design.service.overall_s))
    ours.fit(fit)
    return ours


def _tested(design: Design, seed: int, tested: int, situation: Situation) -> list[Labelled]:
    every = openings(design, seed)[-tested:]
    return [labelled(design, one, seed, situation) for one in every]


class Met:
    """The model of situation A, asked while and after a fault hides counts, then told the opening
    as the service tells it: without retraining, but from day to day."""

    def __init__(self, ours: Eclor, fault: Fault | None = None) -> None:
        self.ours, self._fault = ours.of_now(), fault

    def answer(self, one: Labelled) -> Answer:
        """What it says of an opening; the next one finds it wiser."""
        whole, fault = one.case, self._fault
        if fault is None or fault.mask is None:
            found, known = self.ours.answer(whole), whole
        else:
            masked = replace(whole, counts=fault.mask(whole.counts))
            found = self._while_hidden(whole, masked, fault)
            known = masked if fault.lasting else whole
        self.ours.finished(known)
        return found

    def _while_hidden(self, whole: Case, masked: Case, fault: Fault) -> Answer:
        hidden = self.ours.answer(masked)
        if fault.lasting:
            return hidden
        late = np.isin(whole.steps_known, np.arange(fault.during.start + 1, fault.during.stop + 1))
        later = self.ours.answer(whole)
        return Answer(
            np.where(late, hidden.point_s, later.point_s),
            np.where(late[:, None], hidden.quantiles_s, later.quantiles_s),
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    of: Scored
    step: Vector
    invalid: int


def _asked(asked: Met, cases: Sequence[Labelled], seed: int) -> _Asked:
    given = [asked.answer(one) for one in cases]
    answer = Answer(
        np.concatenate([one.point_s for one in given]),
        np.concatenate([one.quantiles_s for one in given]),
    )
    wait_s = np.concatenate([one.wait_s for one in cases])
    day = np.concatenate([np.full(one.wait_s.size, one.day) for one in cases])
    step = np.concatenate([one.case.steps_known for one in cases])
    found = invalid(answer)
    return _Asked(scored(valid(answer), wait_s, day, seed=seed), step, found)


def valid(answer: Answer) -> Answer:
    """With 0 for what is negative or no number: counted, and wrong."""
    point_s, quantiles_s = (
        np.where(np.isfinite(one) & (one >= 0), one, 0.0)
        for one in (answer.point_s, answer.quantiles_s)
    )
    return Answer(point_s, quantiles_s)


def _told(fault: Fault, met: _Asked, clean: _Asked) -> Told:
    after = met.step > (FROM_STEP if fault.mask is not None else 0)
    before = clean.step > (FROM_STEP if fault.mask is not None else 0)
    ratio = met.of.error_s[after].mean() / clean.of.error_s[before].mean()
    waited = after & (met.of.wait_s > 0)
    recovery = _recovery_min(fault, met, clean) if fault.during else None
    covered = 100.0 * float(met.of.inside(80)[waited].mean())
    return Told(float(ratio), covered, recovery, met.invalid)


def _recovery_min(fault: Fault, met: _Asked, clean: _Asked) -> float:
    """Minutes after the end of the fault until errors are near the clean ones, and stay so for
    WINDOW_MIN; as long as the opening where they never are."""
    last = int(met.step.max())
    for minute in range(fault.during.stop, last - WINDOW_MIN):
        error, usual = (
            one.of.error_s[(one.step > minute) & (one.step <= minute + WINDOW_MIN)].mean()
            for one in (met, clean)
        )
        if error <= TOLERATED * usual:
            return float(minute - fault.during.stop)
    return float(last - fault.during.stop)
