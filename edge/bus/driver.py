"""What a bus needs from a protocol: ask one unit at a time, and never a number that is not one."""

from collections.abc import Sequence
from typing import Protocol

from protocols.profile_model import Function


class Driver(Protocol):
    """One endpoint. One request at a time; the caller owns retries, order and reconnecting.

    `read` and `write` raise LinkDown, UnitSilent, ReplyMalformed, UnitBusy or UnitRefused.
    """

    @property
    def connected(self) -> bool: ...

    async def connect(self) -> None:
        """Open the endpoint, closing what was open; LinkDown if it cannot be had."""
        ...

    async def read(
        self, unit: int, function: Function, *, address: int, count: int
    ) -> Sequence[int]:
        """Exactly `count` registers (0..65535) or bits (0, 1) from 0-based `address`."""
        ...

    async def write(
        self, unit: int, function: Function, *, address: int, words: Sequence[int]
    ) -> None:
        """Write holding registers or one coil; returns once the unit has echoed it."""
        ...

    def close(self) -> None:
        """Close the endpoint; harmless when it is closed."""
        ...
