"""The counting sites: roads and recycling centres, as the registers and as the truth show them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firmware_sim import chance, detectors, traffic, visits
from firmware_sim.civil import CivilTime, next_day
from firmware_sim.errors import ExceptionCode, RequestRefusedError
from firmware_sim.events import EventTally, Span
from firmware_sim.scenario import FacilitySpec, RoadCounter
from firmware_sim.visits import OpeningRecord, Outcome, Visit
from protocols.ids import DeviceId
from protocols.registers import Value
from protocols.time import US_PER_S


@dataclass(frozen=True, slots=True)
class Home:
    """Where a part of the world stands: the seed and its gateway's name make its chances."""

    seed: int
    gateway: str
    civil: CivilTime
    start_us: int


class Road:
    """One detector along a road."""

    def __init__(self, counter: RoadCounter, home: Home) -> None:
        self._counter = counter
        self._tally = traffic.tally(
            counter,
            site=home.gateway,
            seed=home.seed,
            civil=home.civil,
            start_us=home.start_us,
        )

    def devices(self) -> Iterator[DeviceId]:
        yield self._counter.device

    def advance(self, to_us: int) -> None:
        self._tally.advance(to_us)

    def quantities(self, device: DeviceId) -> Mapping[str, Value]:
        forward, backward = self._tally.total("forward"), self._tally.total("backward")
        return {"forward_total": forward, "backward_total": backward, "status": 0}

    def write(self, device: DeviceId, quantity: str, value: float) -> None:
        raise _read_only(device, quantity)

    def truth(self) -> Iterator[dict[str, object]]:
        yield {
            "what": "road",
            "device": self._counter.device,
            **{name: self._tally.total(name) for name in traffic.SERIES},
        }


class Centre:
    """A recycling centre: cars, queue, bays, and the three detectors that see some of it."""

    def __init__(self, spec: FacilitySpec, home: Home) -> None:
        self._spec = spec
        self._home = home
        self._series = {spec.tail: "tail", spec.entry: "entry", spec.exit: "exit"}
        self._openings: list[OpeningRecord] = []
        self._t_us = home.start_us
        mounted = chance.stream(home.seed, home.gateway, "total").randrange(10**5)
        names = [f"{prefix}{name}" for prefix in ("", "true_") for name in detectors.SERIES]
        self._tally = EventTally(self._days(), initial=dict.fromkeys(names, mounted))

    def devices(self) -> Iterator[DeviceId]:
        yield from self._series

    def advance(self, to_us: int) -> None:
        self._tally.advance(to_us)
        self._t_us = to_us

    def quantities(self, device: DeviceId) -> Mapping[str, Value]:
        """Nobody drives out through an entrance here: backward stays 0."""
        total = self._tally.total(self._series[device])
        return {"forward_total": total, "backward_total": 0, "status": 0}

    def write(self, device: DeviceId, quantity: str, value: float) -> None:
        raise _read_only(device, quantity)

    def wait_s(self) -> float | None:
        """V(t), the wait of a car that joins now; None while closed or if it would be sent away."""
        opening = self._opening()
        return None if opening is None else opening.wait_s(self._t_us)

    def visits(self) -> Iterator[Visit]:
        """Every car of the present day's and the day before's openings that has joined by now."""
        for opening in self._openings:
            yield from (visit for visit in opening.visits if visit.joined_us <= self._t_us)

    def truth(self) -> Iterator[dict[str, object]]:
        opening = self._opening()
        present = [] if opening is None else list(opening.visits)
        end_us = 0 if opening is None else opening.end_us
        yield {
            "what": "facility",
            "facility": self._spec.facility,
            "open": opening is not None,
            "wait_s": self.wait_s(),
            "queue": visits.queue_at(present, self._t_us, end_us=end_us),
            "busy_bays": sum(visits.busy_at(o.visits, self._t_us) for o in self._openings),
            "balked": sum(
                visit.outcome is Outcome.BALKED and visit.joined_us <= self._t_us
                for visit in present
            ),
            **{name: self._tally.total(name) for name in self._tally.series},
        }

    def _opening(self) -> OpeningRecord | None:
        for opening in self._openings:
            if opening.begin_us <= self._t_us < opening.end_us:
                return opening
        return None

    def _days(self) -> Iterator[Span]:
        """The events of each civil day; the records of the day before are kept."""
        civil = self._home.civil
        day = civil.local(self._home.start_us).date()
        yesterday: list[OpeningRecord] = []
        while True:
            today = [
                self._opening_record(begin_us, end_us)
                for begin_us, end_us in civil.openings(day, self._spec.opening)
            ]
            self._openings = yesterday + today
            rng = chance.stream(self._home.seed, self._home.gateway, "counts", day.toordinal())
            seen = detectors.counted((v for opening in today for v in opening.visits), rng)
            day = next_day(day)
            yield Span(civil.midnight(day), {name: sorted(seen[name]) for name in seen})
            yesterday = today

    def _opening_record(self, begin_us: int, end_us: int) -> OpeningRecord:
        return visits.simulate(
            visits.Site(self._spec.bays, self._spec.mean_service_s),
            begin=self._home.civil.local(begin_us),
            begin_us=begin_us,
            end_us=end_us,
            rng=chance.stream(self._home.seed, self._home.gateway, "opening", begin_us),
        )


def visit_record(facility: str, visit: Visit) -> dict[str, object]:
    """One car as a line of the exported truth."""
    return {
        "t_us": visit.joined_us,
        "what": "visit",
        "facility": facility,
        "trailer": visit.trailer,
        "outcome": visit.outcome.value,
        "wait_s": visit.wait_s,
        "service_s": None
        if visit.left_us is None or visit.bay_us is None
        else (visit.left_us - visit.bay_us) / US_PER_S,
    }


def _read_only(device: DeviceId, quantity: str) -> RequestRefusedError:
    return RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS, f"{device}: {quantity} is read-only")
