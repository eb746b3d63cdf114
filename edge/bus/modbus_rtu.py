"""Modbus RTU on a serial line or in a TCP connection: one question at a time, with its silences.

Before a frame the line is silent for 3.5 characters, after a broadcast for as long as the units
need to obey it. What arrives while nothing is asked is thrown away, and so is what arrives after a
time-out (edge.bus.stale). Why not the client of pymodbus:
docs/adr/0006-modbus-frames-of-our-own.md.
"""

import asyncio
import contextlib
import time
from dataclasses import dataclass

from edge.bus import rtu
from edge.bus.answers import Answer, fail, settle
from edge.bus.health import BusHealth
from edge.bus.stale import StaleReplies
from edge.bus.wires import Wire, open_wire
from edge.config_buses import BusSettings
from edge.errors import EdgeError, LinkDown, ReplyMalformed, UnitRefused, UnitResting, UnitSilent

_END_OF_FRAME_S = 0.03
"""A reply that pauses for so long is over: USB adapters pass bytes on every 16 ms."""
_END_OF_FRAME_TCP_S = 0.1
_NEVER_SILENT_S = 2.0
_MAX_HEARD_BYTES = 600
"""An echo and the longest frame, 256 bytes each; more is no answer."""
_NAP_S = 1.5e-3
"""The end of a silence is slept outside of asyncio, whose timers have steps of a millisecond."""


@dataclass(slots=True)
class _Question:
    unit: int
    request: bytes
    answer: Answer
    echo_bytes: int
    heard: bytes = b""


class ModbusRtu:
    """`edge.bus.driver.Driver` for frames without transaction numbers."""

    def __init__(self, settings: BusSettings, health: BusHealth) -> None:
        self._settings = settings
        self._health = health
        self._wire: Wire | None = None
        serial = settings.serial
        self._character_s = rtu.character_s(serial.baud) if serial else 0.0
        self._silence_s = rtu.silence_s(serial.baud) if serial else 0.0
        self._end_of_frame_s = max(
            _END_OF_FRAME_S if serial else _END_OF_FRAME_TCP_S, 2 * self._silence_s
        )
        self._free_at_s = 0.0
        self._question: _Question | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._stale = StaleReplies()

    @property
    def connected(self) -> bool:
        return self._wire is not None

    async def connect(self) -> None:
        self.close()
        self._wire = await open_wire(self._settings, heard=self._hear, lost=self._lose)
        self._free_at_s = time.monotonic() + self._silence_s

    def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        self._end(LinkDown(self._settings.name, "the line was closed"))

    def ask(self, unit: int, request: bytes, *, timeout_s: float) -> Answer:
        """As `Driver.ask`; a write to unit 0 is a broadcast, which nobody answers."""
        return asyncio.ensure_future(self._ask(unit, request, timeout_s))

    async def _ask(self, unit: int, request: bytes, timeout_s: float) -> bytes:
        if self._stale.left_alone(unit, time.monotonic()):
            raise UnitResting(unit)
        if (probe := self._stale.probe(unit)) is not None:
            await self._get_into_step(unit, probe, timeout_s)
        self._stale.asked(unit, request)
        return await self._exchange(unit, request, timeout_s)

    async def _get_into_step(self, unit: int, probe: bytes, timeout_s: float) -> None:
        self._health.resyncs += 1
        with contextlib.suppress(UnitRefused):  # an answer too
            await self._exchange(unit, probe, timeout_s)
        self._stale.in_step(unit)

    async def _exchange(self, unit: int, request: bytes, timeout_s: float) -> bytes:
        wire = await self._silent_wire()
        frame = rtu.framed(unit, request)
        answer: Answer = asyncio.get_running_loop().create_future()
        if unit != rtu.BROADCAST:
            echo_bytes = len(frame) if self._settings.echo else 0
            self._question = _Question(unit, request, answer, echo_bytes)
        wire.send(frame)
        sent_s = len(frame) * self._character_s
        self._free_at_s = time.monotonic() + sent_s + self._silence_s
        from_s = time.monotonic()
        try:
            if unit == rtu.BROADCAST:
                self._free_at_s += self._settings.broadcast_s
                return request[:5]
            return await self._answer(unit, request, answer, sent_s + timeout_s, timeout_s)
        finally:
            self._health.busy_s += max(time.monotonic(), self._free_at_s) - from_s

    async def _answer(
        self,
        unit: int,
        request: bytes,
        answer: Answer,
        within_s: float,
        timeout_s: float,
    ) -> bytes:
        """Wait for the answer; whatever else comes of it may leave a late reply behind."""
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            self._leave_alone(unit, request)
            raise UnitSilent(unit, timeout_s) from None
        except (ReplyMalformed, asyncio.CancelledError):
            self._leave_alone(unit, request)
            raise
        finally:
            self._question = None
            if self._ending is not None:
                self._ending.cancel()

    def _leave_alone(self, unit: int, request: bytes) -> None:
        until_s = time.monotonic() + self._settings.timeout_s
        self._stale.unanswered(unit, request, until_s=until_s)

    async def _silent_wire(self) -> Wire:
        """The wire, once it has been silent for long enough; what it has said until now is gone."""
        give_up_s = time.monotonic() + self._settings.broadcast_s + _NEVER_SILENT_S
        while (left_s := self._free_at_s - (now_s := time.monotonic())) > 0:
            if now_s > give_up_s:
                reason = "the line is never silent; check wiring, termination and speed"
                raise LinkDown(self._settings.name, reason)
            if left_s > _NAP_S:
                await asyncio.sleep(left_s - _NAP_S)
            else:
                time.sleep(left_s)  # noqa: ASYNC251 - 1.5 ms at most, in place of a millisecond lost
        if self._wire is None:
            raise LinkDown(self._settings.name, "not connected")
        self._wire.flush()
        return self._wire

    # What the wire tells

    def _hear(self, data: bytes) -> None:
        self._free_at_s = time.monotonic() + self._silence_s
        question = self._question
        if question is None or question.answer.done():
            self._health.stray_bytes += len(data)
            return
        question.heard += data
        self._judge(question, ended=len(question.heard) > _MAX_HEARD_BYTES)
        if self._ending is not None:
            self._ending.cancel()
        if not question.answer.done():
            loop = asyncio.get_running_loop()
            self._ending = loop.call_later(self._end_of_frame_s, self._ended, question)

    def _ended(self, question: _Question) -> None:
        """Silence after some bytes: the reply is over, whole or not."""
        if len(question.heard) > question.echo_bytes:
            self._judge(question, ended=True)

    def _judge(self, question: _Question, *, ended: bool) -> None:
        heard = question.heard
        if question.echo_bytes:
            frame = rtu.framed(question.unit, question.request)
            if not heard.startswith(frame[: len(heard)]):
                self._end(
                    ReplyMalformed(question.unit, "what was sent came back as something else")
                )
                return
            heard = heard[question.echo_bytes :]
        verdict = rtu.judge(question.unit, question.request, heard, ended=ended)
        if verdict.problem:
            self._end(ReplyMalformed(question.unit, verdict.problem))
        elif verdict.reply is not None:
            settle(question.answer, question.unit, question.request, verdict.reply)

    def _lose(self, reason: str) -> None:
        self._wire = None
        self._end(LinkDown(self._settings.name, reason))

    def _end(self, error: EdgeError) -> None:
        if self._question is not None:
            fail(self._question.answer, error)
