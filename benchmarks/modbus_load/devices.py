"""Many units behind one Modbus TCP endpoint, in a process of its own, which notes who asked when.

    python -m benchmarks.modbus_load.devices --silent 7,23

Prints its port, then answers reads of any register with a number made of unit and address, so that
a wrong one is seen. Silent units never answer. At end of input it prints, as JSON, the instants
(monotonic seconds) at which each unit was asked, and how many questions were not reads.
"""

import argparse
import asyncio
import json
import struct
import sys
import time
from collections import defaultdict

_HEADER = struct.Struct(">HHHBBHH")


def word(unit: int, address: int) -> int:
    """What register `address` of `unit` holds."""
    return (unit * 251 + address * 7) & 0x7FFF


class Devices(asyncio.Protocol):
    """One connection to the endpoint."""

    def __init__(self, silent: frozenset[int], asked: dict[int, list[float]]) -> None:
        self._silent = silent
        self._asked = asked
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        now_s = time.monotonic()
        for start in range(0, len(data) - _HEADER.size + 1, _HEADER.size):
            transaction, _, _, unit, code, address, count = _HEADER.unpack_from(data, start)
            self._asked[unit].append(now_s)
            if unit in self._silent or self._transport is None:
                continue
            words = [word(unit, address + place) for place in range(count)]
            head = (transaction, 0, 3 + 2 * count, unit, code, 2 * count)
            self._transport.write(struct.pack(f">HHHBBB{count}H", *head, *words))


async def serve(silent: frozenset[int]) -> None:
    """Serve until the end of standard input."""
    asked: dict[int, list[float]] = defaultdict(list)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Devices(silent, asked), "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin, ended.set)
    await ended.wait()
    server.close()
    json.dump(asked, sys.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--silent", default="")
    silent = parser.parse_args().silent
    asyncio.run(serve(frozenset(int(unit) for unit in silent.split(",") if unit)))


if __name__ == "__main__":
    main()
