"""Record what a field bus says, as a trace that can be replayed (edge.trace, edge.replay).

Either the samples, or the exchanges behind them: with the exchanges a wrong register map can be
found, with the samples whatever the aggregation did. The file is bounded; what does not fit is
counted.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from edge.bus import pdu
from edge.bus.answers import Answer
from edge.bus.driver import Driver
from edge.bus.field import driver_of
from edge.bus.health import BusHealth
from edge.config import BusSettings
from edge.errors import EdgeError, TraceUnreadable
from edge.sampling import Sample
from edge.trace import Exchange, Told, line_of
from protocols.time import Clock

MAX_BYTES = 100 * 1024 * 1024
"""A day of a cabinet with 40 luminaires, read every 10 s, is half of it."""


@dataclass(slots=True)
class Recorder:
    """A context manager that owns the file; TraceUnreadable if it cannot be written."""

    path: Path
    max_bytes: int = MAX_BYTES
    samples: int = 0
    exchanges: int = 0
    left_out: int = 0
    _bytes: int = 0
    _file: BinaryIO | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("wb")
        except OSError as exc:
            raise TraceUnreadable(f"trace {self.path}: {exc.strerror}; name another file") from exc
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def sample(self, sample: Sample) -> None:
        self.samples += self._write(sample)

    def exchange(self, exchange: Exchange) -> None:
        self.exchanges += self._write(exchange)

    def _write(self, told: Told) -> bool:
        line = line_of(told)
        if self._file is None or self._bytes + len(line) > self.max_bytes:
            self.left_out += 1
            return False
        self._file.write(line)
        self._bytes += len(line)
        return True


def recording(
    clock: Clock, recorder: Recorder | None
) -> Callable[[BusSettings, BusHealth], Driver]:
    """How a field makes its drivers; with a recorder each writes its reads down."""

    def made(settings: BusSettings, health: BusHealth) -> Driver:
        inner = driver_of(settings, health)
        if recorder is None:
            return inner
        return RecordingDriver(inner, settings.name, clock=clock, recorder=recorder)

    return made


class RecordingDriver:
    """A driver that writes down every read of another one; writes pass unrecorded."""

    def __init__(self, inner: Driver, bus: str, *, clock: Clock, recorder: Recorder) -> None:
        self._inner = inner
        self._bus = bus
        self._clock = clock
        self._recorder = recorder

    @property
    def connected(self) -> bool:
        return self._inner.connected

    async def connect(self) -> None:
        await self._inner.connect()

    def ask(self, unit: int, request: bytes, *, timeout_s: float) -> Answer:
        return asyncio.ensure_future(self._ask(unit, request, timeout_s))

    async def _ask(self, unit: int, request: bytes, timeout_s: float) -> bytes:
        try:
            reply = await self._inner.ask(unit, request, timeout_s=timeout_s)
        except EdgeError as exc:
            self._note(unit, request, error=type(exc).__name__)
            raise
        self._note(unit, request, reply=reply)
        return reply

    def close(self) -> None:
        self._inner.close()

    def _note(
        self, unit: int, request: bytes, *, reply: bytes = b"", error: str | None = None
    ) -> None:
        read = pdu.read_of(request)
        if read is None:
            return
        function, address, count = read
        self._recorder.exchange(
            Exchange(
                t_us=self._clock.now_us(),
                bus=self._bus,
                unit=unit,
                function=function,
                address=address,
                count=count,
                words=tuple(pdu.numbers(request, reply)) if reply else (),
                error=error,
            )
        )
