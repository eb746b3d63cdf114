"""Everything the agent raises on purpose.

    EdgeError
    |- ConfigFaults             the configuration cannot be used; lists every fault
    |- TraceUnreadable          a recorded trace cannot be opened
    |- Retriable                the same call may succeed later
    |   |- LinkDown             the bus endpoint is not connected
    |   |- UnitSilent           no reply in time
    |   |   `- UnitUnreachable  the gateway says so of a unit behind it (exceptions 10, 11)
    |   |- UnitResting          silent before, and not asked again yet
    |   |- ReplyMalformed       a reply that is not the answer to the request
    |   |- UnitBusy             the unit or its gateway asked to come back (exceptions 5, 6)
    |   `- CommandsFull         more commands wait on the bus than its queue holds
    |- UnitRefused              the unit answered with any other Modbus exception
    |- CommandExpired           the command's time was over before it reached the unit
    `- NotCommandable           no such device or point, or its profile does not allow the write

Whether to try again is the type `Retriable`, never a guess at the call site.
"""

# ruff: noqa: N818  (names say the fault; that it is an error, the root says)

from dataclasses import dataclass

# Modbus application protocol 1.1b3, 7: exceptions that say "later", not "no".
_BUSY = (5, 6)
_UNREACHABLE = (10, 11)

_EXCEPTION_TEXT = {
    1: "function not supported",
    2: "no such register",
    3: "value or length refused",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
    8: "memory parity error",
    10: "gateway has no path to the unit",
    11: "unit behind the gateway does not answer",
}


class EdgeError(Exception):
    """Root of the tree."""


class Retriable(EdgeError):
    """The same call may succeed later: try again after a pause."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to repair in a configuration. `value` is None where the key is missing."""

    file: str
    key: str
    value: object
    problem: str
    remedy: str

    def __str__(self) -> str:
        given = "" if self.value is None else f" = {self.value!r}"
        return f"{self.file}: {self.key}{given} {self.problem}. Remedy: {self.remedy}"


class ConfigFaults(EdgeError):
    """The configuration cannot be used; `faults` holds every fault found. Repair the file."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class TraceUnreadable(EdgeError):
    """A recorded trace cannot be opened; the message says why. Check the path."""


class LinkDown(Retriable):
    """The endpoint of bus `bus` is not connected; the bus reconnects by itself."""

    def __init__(self, bus: str, reason: str) -> None:
        super().__init__(f"bus {bus}: {reason}")
        self.bus = bus
        self.reason = reason


class UnitSilent(Retriable):
    """Unit `unit` gave no reply within `timeout_s`: unplugged, wrong unit number, or too slow."""

    def __init__(self, unit: int, timeout_s: float) -> None:
        super().__init__(f"unit {unit} gave no reply within {timeout_s:g} s")
        self.unit = unit
        self.timeout_s = timeout_s


class UnitUnreachable(UnitSilent):
    """The gateway answered exception `code` in the place of unit `unit`, which is not there."""

    def __init__(self, unit: int, code: int) -> None:
        EdgeError.__init__(self, f"unit {unit}: exception {code}: {exception_text(code)}")
        self.unit = unit
        self.code = code


class UnitResting(Retriable):
    """Unit `unit` was silent and rests, so that it costs the others no time; it is tested later."""

    def __init__(self, unit: int) -> None:
        super().__init__(f"unit {unit} does not answer and is not asked for a while")
        self.unit = unit


class ReplyMalformed(Retriable):
    """Unit `unit` sent what cannot be the answer; nothing of it is used."""

    def __init__(self, unit: int, problem: str) -> None:
        super().__init__(f"unit {unit} sent a malformed reply: {problem}")
        self.unit = unit
        self.problem = problem


class UnitBusy(Retriable):
    """Unit `unit` answered with exception `code`, which asks to come back later."""

    def __init__(self, unit: int, code: int) -> None:
        super().__init__(f"unit {unit} answered exception {code}: {exception_text(code)}")
        self.unit = unit
        self.code = code


class UnitRefused(EdgeError):
    """Unit `unit` answered with exception `code`: the profile does not fit the device."""

    def __init__(self, unit: int, code: int) -> None:
        super().__init__(f"unit {unit} answered exception {code}: {exception_text(code)}")
        self.unit = unit
        self.code = code


class CommandsFull(Retriable):
    """Bus `bus` already has `limit` commands waiting."""

    def __init__(self, bus: str, limit: int) -> None:
        super().__init__(f"bus {bus}: {limit} commands already wait")
        self.bus = bus
        self.limit = limit


class CommandExpired(EdgeError):
    """A command for unit `unit` waited longer than it was worth: nothing has been sent."""

    def __init__(self, unit: int) -> None:
        super().__init__(f"unit {unit}: the time of the command was over before it could be sent")
        self.unit = unit


class NotCommandable(EdgeError):
    """Device `device` cannot be given that value; correct the plan, command or configuration."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"device {device}: {reason}")
        self.device = device
        self.reason = reason


def exception_text(code: int) -> str:
    """What a Modbus exception code means."""
    return _EXCEPTION_TEXT.get(code, "unknown exception")


def exception_reply(unit: int, code: int) -> EdgeError:
    """The error for a reply with Modbus exception `code`."""
    if code in _UNREACHABLE:
        return UnitUnreachable(unit, code)
    return UnitBusy(unit, code) if code in _BUSY else UnitRefused(unit, code)
