"""The demo's broker: a Mosquitto found on the PATH, or `amqtt` in this very process.

`amqtt` speaks MQTT 3.1.1 only and has no shared subscriptions: enough for one ingest on one
machine, and the only place where that is accepted.
"""

import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cli.demo.processes import Child, DemoError

Choice = Literal["auto", "mosquitto", "amqtt"]

_SETTINGS = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
set_tcp_nodelay true
max_inflight_messages 1000
max_queued_messages 1000000
message_size_limit 131072
log_type error
log_type warning
"""
_SBIN = "/usr/sbin:/usr/local/sbin"


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker listens, and which protocol it speaks."""

    name: str
    port: int
    protocol: Literal["5", "3.1.1"]
    child: Child | None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}?protocol={self.protocol}"


@asynccontextmanager
async def running(choice: Choice, directory: Path, port: int) -> AsyncIterator[Broker]:
    """A broker on loopback for as long as the context lasts."""
    program = None if choice == "amqtt" else _mosquitto()
    if program is None and choice == "mosquitto":
        raise DemoError("no mosquitto on the PATH: install it, or leave out --broker mosquitto")
    if program is not None:
        child = _start_mosquitto(program, directory, port)
        try:
            yield Broker("Mosquitto", port, "5", child)
        finally:
            child.stop()
        return
    _log_to(directory / "amqtt.log")
    async with _amqtt(port):
        yield Broker("amqtt (in process)", port, "3.1.1", None)


def _mosquitto() -> str | None:
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)


def _start_mosquitto(program: str, directory: Path, port: int) -> Child:
    settings = directory / "mosquitto.conf"
    settings.write_text(_SETTINGS.format(port=port))
    return Child("Mosquitto", [program, "-c", str(settings)], log=directory / "mosquitto.log")


def _log_to(file: Path) -> None:
    """What amqtt and the tasks that it leaves unwatched have to say goes to a file, like the other
    parts' logs, not over the live table."""
    logging.getLogger().addHandler(logging.FileHandler(file, delay=True))


@asynccontextmanager
async def _amqtt(port: int) -> AsyncIterator[None]:
    try:
        from amqtt.broker import Broker as Amqtt
    except ImportError as exc:
        raise DemoError("the demo needs a broker: pip install 'eclor[demo]', or mosquitto") from exc
    broker = Amqtt(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await broker.start()
    try:
        yield
    finally:
        await broker.shutdown()
