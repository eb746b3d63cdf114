"""Answers that may still come after nobody waits for them, and how a unit is got into step again.

An RTU reply carries no address: a late one is taken for the answer to the next question of the same
function and length, whatever registers that asks for. So a unit that has not answered a read in
time is first left alone for a while, and then asked for a number of registers that nothing else
asks it for: a unit answers in order, so the reply of that length proves that no older one is left.
"""

from collections import defaultdict, deque

from edge.bus import pdu

_MOST_BITS, _MOST_REGISTERS = 2_000, 125  # Modbus application protocol 1.1b3, 6.1 and 6.3
_REMEMBERED = 16


class StaleReplies:
    """What each unit of a line may still answer."""

    def __init__(self) -> None:
        self._used: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
        self._missing: dict[int, deque[bytes]] = {}
        self._left_alone_until_s: dict[int, float] = {}

    def asked(self, unit: int, request: bytes) -> None:
        """A question whose answer counts."""
        if pdu.is_read(request):
            self._used[unit].add((request[0], pdu.count_of(request)))

    def unanswered(self, unit: int, request: bytes, *, until_s: float) -> None:
        """No usable answer came: one may until `until_s` at least."""
        self._left_alone_until_s[unit] = until_s
        if pdu.is_read(request):
            self._missing.setdefault(unit, deque(maxlen=_REMEMBERED)).append(request)

    def left_alone(self, unit: int, now_s: float) -> bool:
        return now_s < self._left_alone_until_s.get(unit, now_s)

    def probe(self, unit: int) -> bytes | None:
        """What to ask `unit` before anything else; None if it is in step."""
        missing = self._missing.get(unit)
        if not missing:
            return None
        last = missing[-1]
        taken = self._used[unit] | {(old[0], pdu.count_of(old)) for old in missing}
        return pdu.with_count(last, _free_count(last, taken))

    def in_step(self, unit: int) -> None:
        self._missing.pop(unit, None)


def _free_count(request: bytes, taken: set[tuple[int, int]]) -> int:
    """The count nearest below the one of `request`, else above, that no other answer has.

    Counts of the same parity come first: some devices answer even counts only.
    """
    function, count = request[0], pdu.count_of(request)
    most = _MOST_BITS if function in (1, 2) else _MOST_REGISTERS
    near = (range(count - 2, 0, -2), range(count - 1, 0, -2), range(count + 1, most + 1))
    for free in (free for some in near for free in some):
        if (function, free) not in taken and _distinct(function, free, taken):
            return free
    return count


def _distinct(function: int, count: int, taken: set[tuple[int, int]]) -> bool:
    """Whether the length of the reply tells it from all others: bits come in eights."""
    if function not in (1, 2):
        return True
    return all((count + 7) // 8 != (other + 7) // 8 for code, other in taken if code == function)
