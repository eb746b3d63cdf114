"""Modbus TCP: any number of questions outstanding, each answered by its transaction number.

Why not the client of pymodbus: it has one request in flight a connection, so that one silent unit
stalls all of them (docs/adr/0006-modbus-frames-of-our-own.md).
"""

import asyncio
from dataclasses import dataclass

from edge.bus import mbap
from edge.bus.answers import Answer, fail, failed, settle
from edge.bus.deadlines import Deadlines
from edge.bus.health import BusHealth
from edge.bus.wires import keep_alive
from edge.config_buses import BusSettings
from edge.errors import LinkDown, ReplyMalformed, UnitSilent

_MAX_UNANSWERED = 16


@dataclass(slots=True)
class _Question:
    unit: int
    request: bytes
    answer: Answer
    timeout_s: float


class ModbusTcp(asyncio.Protocol):
    """`edge.bus.driver.Driver` on one TCP endpoint; how much is outstanding is the bus' to bound.

    A reply whose transaction nobody waits for is late and counts as `replies_late`. Bytes that are
    no frame end the connection and every question on it.
    """

    def __init__(self, settings: BusSettings, health: BusHealth) -> None:
        self._settings = settings
        self._health = health
        self._transport: asyncio.Transport | None = None
        self._splitter = mbap.Splitter()
        self._waiting: dict[int, _Question] = {}
        self._time_outs = Deadlines(self._give_up)  # by transaction
        self._unanswered: dict[int, int] = {}  # unit by transaction, of those given up
        self._transaction = 0

    @property
    def connected(self) -> bool:
        return self._transport is not None

    async def connect(self) -> None:
        self.close()
        host, port = self._settings.host, self._settings.port
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                transport, _ = await asyncio.get_running_loop().create_connection(
                    lambda: self, host, port
                )
        except (OSError, TimeoutError, UnicodeError) as exc:  # the last: no name of a host
            reason = f"cannot connect to {host}:{port}; check power, cable and port"
            raise LinkDown(self._settings.name, reason) from exc
        keep_alive(transport)
        self._splitter = mbap.Splitter()
        self._unanswered.clear()
        self._transport = transport

    def close(self) -> None:
        if self._transport is not None:
            transport, self._transport = self._transport, None
            transport.abort()  # what the peer has not read would wait for ever
        self._fail_all("the connection was closed")

    def ask(self, unit: int, request: bytes, *, timeout_s: float) -> Answer:
        loop = asyncio.get_running_loop()
        if self._transport is None:
            return failed(LinkDown(self._settings.name, "not connected"))
        answer: Answer = loop.create_future()
        transaction = self._next_transaction()
        self._waiting[transaction] = _Question(unit, request, answer, timeout_s)
        self._time_outs.set(transaction, loop.time() + timeout_s)
        self._transport.write(mbap.framed(transaction, unit, request))
        return answer

    def _give_up(self, transaction: int) -> None:
        """Its time is over, whether somebody still waits for it or not."""
        question = self._waiting.pop(transaction)
        self._note_unanswered(transaction, question.unit)
        fail(question.answer, UnitSilent(question.unit, question.timeout_s))

    def _note_unanswered(self, transaction: int, unit: int) -> None:
        """Its reply may still come; the latest few are remembered."""
        if len(self._unanswered) >= _MAX_UNANSWERED:
            del self._unanswered[next(iter(self._unanswered))]
        self._unanswered[transaction] = unit

    def _next_transaction(self) -> int:
        self._transaction = (self._transaction + 1) % mbap.TRANSACTIONS
        return self._transaction

    # asyncio.Protocol

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._splitter.feed(data)
            for frame in frames:
                self._check(frame)
            for frame in frames:
                self._take(frame)
        except mbap.LostSyncError as exc:
            for question in self._waiting.values():
                fail(question.answer, ReplyMalformed(question.unit, str(exc)))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._transport = None
            self._fail_all("the connection was closed by the other side")

    def _check(self, frame: mbap.Frame) -> None:
        if frame.transaction in self._waiting and len(self._waiting) + len(self._unanswered) == 1:
            return  # no other reply is awaited that could be in it
        others = {transaction: question.unit for transaction, question in self._waiting.items()}
        others |= self._unanswered
        others.pop(frame.transaction, None)
        if mbap.swallowed(frame, others.items(), self._transaction):
            raise mbap.LostSyncError("a reply that was cut short, and another one in it")

    def _take(self, frame: mbap.Frame) -> None:
        question = self._waiting.pop(frame.transaction, None)
        if question is None:
            self._unanswered.pop(frame.transaction, None)
            self._health.replies_late += 1
            return
        self._time_outs.clear(frame.transaction)
        if frame.unit != question.unit:
            problem = f"unit {frame.unit} instead of {question.unit}"
            fail(question.answer, ReplyMalformed(question.unit, problem))
        else:
            settle(question.answer, question.unit, question.request, frame.pdu)

    def _fail_all(self, reason: str) -> None:
        self._time_outs.close()
        waiting, self._waiting = self._waiting, {}
        for question in waiting.values():
            fail(question.answer, LinkDown(self._settings.name, reason))
