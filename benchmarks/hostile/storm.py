"""Which fault each request meets: drawn from a seed, or a sequence that a test chose."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

from firmware_sim.faults import EXCEPTION_CODES, Fault, FaultKind, fault

Faults = Sequence[Fault]

# What no receiver can tell on RTU: a reply names no address, so a device that answers in time with
# the registers of the question before is believed (_NOT_ON_RTU).
# Nor on Modbus TCP with several questions outstanding, that random bytes fill up a reply which was
# cut short just before, to the byte: there is no check sum. With one question at a time they can be
# told, because the connection goes with the time-out.
_NOT_OUTSTANDING = (FaultKind.GARBAGE, FaultKind.GARBAGE_BEFORE)
_NOT_ON_RTU = (FaultKind.STALE, FaultKind.WRONG_TRANSACTION, FaultKind.MBAP_LENGTH)


def menu(timeout_s: float, *, rtu: bool, serial: bool, outstanding: bool) -> list[Fault]:
    """Every fault that a bus can show, with settings around a time-out of `timeout_s`."""
    faults = [
        *(fault(kind) for kind in ("silent", "short_reply", "long_reply", "cut", "byte_count")),
        *(fault(kind) for kind in ("wrong_unit", "wrong_function", "garbage", "garbage_before")),
        *(fault(kind) for kind in ("echo", "echo_before", "double", "stale")),
        *(fault(kind) for kind in ("wrong_transaction", "mbap_length", "hang_up", "bad_crc")),
        *(fault("exception", code=code) for code in EXCEPTION_CODES),
        fault("hole", first=98, last=310),
        fault("slow", seconds=timeout_s * 0.3),
        *(fault("late", seconds=timeout_s * times) for times in (1.1, 1.6)),
    ]
    absent = {*_NOT_ON_RTU} if rtu else {FaultKind.BAD_CRC}
    if outstanding:
        absent.update(_NOT_OUTSTANDING)
    if serial:
        absent.add(FaultKind.HANG_UP)
    return [made for made in faults if made.kind not in absent]


def drawn(faults: Faults, rng: Random, *, quiet: float = 0.35) -> Iterator[Faults]:
    """Weather without end: calm spells, single faults, bursts of one fault, several at once."""
    while True:
        if rng.random() < quiet:
            yield ()
        elif rng.random() < 0.15:
            burst = rng.choice(faults)
            for _ in range(rng.randrange(2, 8)):
                yield (burst,)
        elif rng.random() < 0.1:
            yield tuple(rng.sample(list(faults), 2))
        else:
            yield (rng.choice(faults),)


class Weather:
    """What a `FaultyUnit` asks at each request; counts what it gave."""

    def __init__(self, sequence: Iterable[Faults], noted: Callable[[Faults], None]) -> None:
        self._sequence = iter(sequence)
        self._noted = noted

    def __call__(self) -> Faults:
        """The faults of the next request; none once the sequence is over."""
        faults = next(self._sequence, ())
        self._noted(faults)
        return faults


class Tally:
    """How many requests there were, and how many with which fault."""

    def __init__(self) -> None:
        self.requests = 0
        self.faulty = 0
        self.by_kind: Counter[str] = Counter()

    def __call__(self, faults: Faults) -> None:
        self.requests += 1
        self.faulty += bool(faults)
        self.by_kind.update(fault.kind.value for fault in faults)
