"""A serial line on a pty: several Modbus RTU units, half duplex, at the true speed of the line.

    async with SerialLine({1: BankResponder(bank), 7: other}, baud=9600) as line:
        ...  # a client opens line.path like any /dev/ttyUSB0; line.counts tells what it did

A pty passes bytes on at once, so the line keeps its own time. A request of n bytes occupies the
line for n characters of 11 bits from its first byte; after 3.5 characters of silence it is a frame;
`turnaround_s` later the unit begins to answer, and its bytes leave one character apart. The last
byte of a reply is on time to some 0.1 ms; those before it to about a millisecond.

Who speaks while another one does garbles both: the request is lost, the rest of the reply is
rubbish. A unit that thinks for long does not stop the others, as on a real line. A unit that is not
there, a frame with a wrong CRC and a broadcast get no answer.
"""

import asyncio
import contextlib
import math
import os
import time
import tty
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from firmware_sim import rtu
from firmware_sim.errors import ScenarioError
from firmware_sim.server import Responder

_READ_BYTES = 4096
_SPIN_S = 1.5e-3  # asyncio wakes up to a millisecond late: the end of a wait is spun
_MAX_ANSWERING = 16
_RUBBISH = 0xA5


@dataclass(slots=True)
class LineCounts:
    """What a line has seen since its start.

    `busy_s` is the time in which characters were on the line, `shortest_gap_s` the least silence
    before a request, and `short_gaps` tells how many of them were below 3.5 characters.
    """

    requests: int = 0
    replies: int = 0
    malformed_frames: int = 0
    unknown_unit: int = 0
    collisions: int = 0
    dropped_bytes: int = 0
    dropped_requests: int = 0
    busy_s: float = 0.0
    shortest_gap_s: float = math.inf
    short_gaps: int = 0


class SerialLine:
    """Async context manager; `path` is the client's end while it is open."""

    def __init__(
        self,
        units: Mapping[int, Responder],
        *,
        baud: int = 19_200,
        turnaround_s: float = 0.005,
        link: Path | None = None,
    ) -> None:
        """`link`: a name of your choice for the client's end, a symbolic link made and removed."""
        self.counts = LineCounts()
        self._units = units
        self._character_s = rtu.character_s(baud)
        self._silence_s = rtu.silence_s(baud)
        self._turnaround_s = turnaround_s
        self._link = link
        self._ours = self._theirs = -1
        self._received = bytearray()
        self._heard_end_s = -math.inf  # when the last character of the request leaves the line
        self._spoken_end_s = -math.inf  # when the last character of a reply left it
        self._speaking = False
        self._garbled = False
        self._ending: asyncio.TimerHandle | None = None
        self._floor = asyncio.Lock()
        self._answering: set[asyncio.Task[None]] = set()

    @property
    def path(self) -> str:
        """The device that a client opens; RuntimeError before the line has started."""
        if self._theirs < 0:
            raise RuntimeError("the line has not started")
        return str(self._link) if self._link else os.ttyname(self._theirs)

    async def __aenter__(self) -> Self:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)  # our own end of theirs stays open: a client may come and go
        os.set_blocking(self._ours, False)
        try:
            if self._link:
                self._name(self._link)
        except ScenarioError:
            self._close()
            raise
        asyncio.get_running_loop().add_reader(self._ours, self._hear)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self._ending:
            self._ending.cancel()
        answering = list(self._answering)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        if self._link:
            self._link.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = self._theirs = -1

    def _name(self, link: Path) -> None:
        if link.exists() and not link.is_symlink():
            raise ScenarioError(f"{link} exists and is no symbolic link; choose another name")
        try:
            link.unlink(missing_ok=True)
            link.symlink_to(os.ttyname(self._theirs))
        except OSError as fault:
            raise ScenarioError(
                f"{link}: {fault.strerror}; choose a name in a directory that can be written"
            ) from fault

    def _hear(self) -> None:
        """Bytes from the client: they occupy the line from now on."""
        now_s = time.monotonic()
        with contextlib.suppress(BlockingIOError, OSError):
            octets = os.read(self._ours, _READ_BYTES)
            if self._speaking:
                self.counts.collisions += 1
                self._garbled = True
                return
            if not self._received:
                self._note_gap(now_s)
            self._received += octets
            spent_s = len(octets) * self._character_s
            self._heard_end_s = max(self._heard_end_s, now_s) + spent_s
            self.counts.busy_s += spent_s
            self._await_silence()

    def _note_gap(self, now_s: float) -> None:
        gap_s = now_s - max(self._spoken_end_s, self._heard_end_s)
        self.counts.shortest_gap_s = min(self.counts.shortest_gap_s, gap_s)
        self.counts.short_gaps += gap_s < self._silence_s

    def _await_silence(self) -> None:
        if self._ending:
            self._ending.cancel()
        wait_s = self._heard_end_s + self._silence_s - time.monotonic()
        loop = asyncio.get_running_loop()
        self._ending = loop.call_later(max(0.0, wait_s - _SPIN_S), self._frame_ended)

    def _frame_ended(self) -> None:
        """The silence is as good as over: what came is one frame."""
        raw, self._received = bytes(self._received), bytearray()
        self._ending = None
        frame = rtu.parse(raw)
        if frame is None:
            self.counts.malformed_frames += 1
        elif len(self._answering) >= _MAX_ANSWERING:
            self.counts.dropped_requests += 1
        else:
            self.counts.requests += 1
            self._start(frame)

    def _start(self, frame: rtu.Frame) -> None:
        """Have the unit that `frame` is for answer, or all of them obey a broadcast."""
        begins_s = self._heard_end_s + self._silence_s + self._turnaround_s
        if frame.unit == rtu.BROADCAST:
            self._spawn(self._obey(frame))
        elif frame.unit in self._units:
            self._spawn(self._answer(self._units[frame.unit], frame, begins_s))
        else:
            self.counts.unknown_unit += 1

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _obey(self, frame: rtu.Frame) -> None:
        for unit in self._units.values():
            await unit.answer(frame)

    async def _answer(self, unit: Responder, frame: rtu.Frame, begins_s: float) -> None:
        reply = await unit.answer(frame)
        if not reply:
            return
        async with self._floor:
            await _until(begins_s)
            await self._speak(reply, max(begins_s, time.monotonic()))
        self.counts.replies += 1

    async def _speak(self, reply: bytes, begins_s: float) -> None:
        """Send `reply`, each byte when its character has left the line."""
        self._speaking, self._garbled = True, False
        sent = 0
        try:
            while sent < len(reply):
                last_s = begins_s + len(reply) * self._character_s
                await _until(min(last_s, begins_s + (sent + 1) * self._character_s), last_s=last_s)
                gone = int((time.monotonic() - begins_s) / self._character_s + 1e-6)
                due = min(len(reply), max(gone, sent + 1))
                self._write(reply[sent:due])
                sent = due
        finally:
            self._speaking = False
            self._spoken_end_s = time.monotonic()
            self.counts.busy_s += sent * self._character_s

    def _write(self, octets: bytes) -> None:
        if self._garbled:
            octets = bytes(octet ^ _RUBBISH for octet in octets)
        try:
            written = os.write(self._ours, octets)
        except BlockingIOError:
            written = 0  # nobody reads: on a line the characters would be gone
        self.counts.dropped_bytes += len(octets) - written


async def _until(due_s: float, *, last_s: float | None = None) -> None:
    """Sleep until `due_s`; exactly if it is `last_s` or nothing else is said."""
    exact = last_s is None or due_s >= last_s
    while (left_s := due_s - time.monotonic()) > 0:
        if left_s > _SPIN_S or not exact:
            await asyncio.sleep(left_s - _SPIN_S if exact else left_s)
        else:
            await asyncio.sleep(0)
