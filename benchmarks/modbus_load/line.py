"""A serial line with one Modbus RTU unit a number, on a pty, in a process of its own.

    python -m benchmarks.modbus_load.line --baud 9600 --turnaround-ms 20

Prints the path of the port. A pty has no speed, so the line keeps time: a request of n bytes takes
n characters of 11 bits, 3.5 characters of silence end it, the unit needs its turnaround, and the
reply is there when its last character would have left the line. At end of input it prints, as JSON,
the requests a second and every silence, in seconds, between a reply and the next request.
"""

import argparse
import json
import os
import select
import struct
import sys
import time
import tty
from dataclasses import dataclass, field

from benchmarks.modbus_load.devices import word

CHARACTER_BITS = 11
_POLYNOMIAL = 0xA001
_REQUEST_BYTES = 8


def crc(data: bytes) -> bytes:
    """CRC-16, written for itself so that the line shares no mistake with the agent."""
    register = 0xFFFF
    for octet in data:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (_POLYNOMIAL if register & 1 else 0)
    return register.to_bytes(2, "little")


@dataclass
class Line:
    """The units' end of the line."""

    port: int
    baud: int
    turnaround_s: float
    requests: int = 0
    gaps_s: list[float] = field(default_factory=list)
    spoken_s: float | None = None
    began_s: float = 0.0
    ended_s: float = 0.0

    def answer(self) -> None:
        """Take the request that has begun to arrive, and answer it at its time."""
        began_s = time.monotonic()
        if self.spoken_s is not None:
            self.gaps_s.append(began_s - self.spoken_s)
        request = os.read(self.port, 256)
        if len(request) != _REQUEST_BYTES or crc(request[:-2]) != request[-2:]:
            return
        self.requests += 1
        self.began_s = self.began_s or began_s
        self.ended_s = began_s
        unit, code, address, count = struct.unpack(">BBHH", request[:-2])
        words = [word(unit, address + place) for place in range(count)]
        body = struct.pack(f">BBB{count}H", unit, code, 2 * count, *words)
        characters_s = (len(request) + len(body) + 2) * CHARACTER_BITS / self.baud
        due_s = began_s + characters_s + silence_s(self.baud) + self.turnaround_s
        time.sleep(max(0.0, due_s - time.monotonic()))
        self.spoken_s = (
            time.monotonic()
        )  # before the write: after it others may have had their turn
        os.write(self.port, body + crc(body))


def silence_s(baud: int) -> float:
    """3.5 characters, or 1.75 ms above 19,200 Bd (Modbus over serial line 1.02, 2.5.1.1)."""
    return 3.5 * CHARACTER_BITS / baud if baud <= 19_200 else 1.75e-3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--baud", type=int, required=True)
    parser.add_argument("--turnaround-ms", type=float, default=20.0)
    given = parser.parse_args()
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    line = Line(ours, given.baud, given.turnaround_ms / 1e3)
    sys.stdout.write(os.ttyname(theirs) + "\n")
    sys.stdout.flush()
    while True:
        ready, _, _ = select.select([sys.stdin, ours], [], [])
        if sys.stdin in ready:
            break
        line.answer()
    per_s = (line.requests - 1) / (line.ended_s - line.began_s) if line.requests > 1 else 0.0
    json.dump({"requests_per_s": per_s, "gaps_s": line.gaps_s}, sys.stdout)


if __name__ == "__main__":
    main()
