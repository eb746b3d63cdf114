"""What a bus needs from a protocol: a question, its answer, never a wrong number."""

from collections.abc import Sequence
from typing import Protocol

from edge.bus import pdu
from edge.bus.answers import Answer
from protocols.profile_model import Function


class Driver(Protocol):
    """One endpoint. The caller owns order, retries, reconnecting and how much is asked at once."""

    @property
    def connected(self) -> bool: ...

    async def connect(self) -> None:
        """Open the endpoint, closing what was open; LinkDown if it cannot be had."""
        ...

    def ask(self, unit: int, request: bytes, *, timeout_s: float) -> Answer:
        """Ask now, or once the line is silent; the future gets the PDU that answers `request`.

        It is checked against the question. Otherwise it gets LinkDown, UnitSilent, ReplyMalformed,
        UnitBusy or UnitRefused; on a serial line also UnitResting, where a late answer could be
        taken for another one. Whoever no longer wants the answer cancels it.
        """
        ...

    def close(self) -> None:
        """Close the endpoint; whoever waits for an answer gets LinkDown. Harmless when closed."""
        ...


async def read_now(
    driver: Driver, unit: int, function: Function, *, address: int, count: int, timeout_s: float
) -> Sequence[int]:
    """Exactly `count` registers or bits from the 0-based `address`, asked at once: for a tool."""
    request = pdu.read_request(function, address, count)
    return pdu.numbers(request, await driver.ask(unit, request, timeout_s=timeout_s))
