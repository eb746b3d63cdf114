"""A pty whose other end answers as a test says: no speed, no manners of its own."""

import asyncio
import os
import time
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Reply = Callable[[bytes], bytes]


@dataclass
class PtyLine:
    """`asked` are the frames as they came, `gaps_s` the silence before each but the first."""

    path: str
    ours: int
    reply: Reply
    asked: list[bytes] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    spoken_s: float | None = None
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, data: bytes) -> None:
        os.write(self.ours, data)
        self.spoken_s = time.monotonic()

    def hear(self) -> None:
        try:
            frame = os.read(self.ours, 4_096)
        except OSError:  # nobody has the other end open
            asyncio.get_running_loop().remove_reader(self.ours)
            return
        if self.spoken_s is not None:
            self.gaps_s.append(time.monotonic() - self.spoken_s)
        self.asked.append(frame)
        self.heard.set()
        self.spoken_s = time.monotonic()
        if answer := self.reply(frame):
            self.say(answer)


@asynccontextmanager
async def pty_line(reply: Reply) -> AsyncIterator[PtyLine]:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    line = PtyLine(os.ttyname(theirs), ours, reply)
    asyncio.get_running_loop().add_reader(ours, line.hear)
    try:
        yield line
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        os.close(ours)
        os.close(theirs)
