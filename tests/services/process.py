"""A server process that cannot outlive the process that started it."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services.programs import Programs

START_S = 30.0
POLL_S = 0.02


class ServiceError(RuntimeError):
    """A test service did not start; the message ends with the last lines of its log."""


@dataclass
class Server:
    """A guarded process; `stop` ends it and is safe to call twice."""

    name: str
    log: Path
    guard: "subprocess.Popen[bytes]"
    lifeline: int

    @classmethod
    def start(
        cls,
        name: str,
        programs: Programs,
        command: Sequence[str],
        *,
        directory: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> "Server":
        """Start COMMAND (program name first) with its files under DIRECTORY.

        The parent of DIRECTORY, made for this server alone, is removed when the owner dies.
        """
        reading, writing = os.pipe()
        uid, gid = programs.account or (-1, -1)
        words = [str(reading), str(int(programs.stop_signal or stop_signal)), str(uid), str(gid)]
        words += [str(directory.parent), "--", *programs.command(command, directory)]
        log = directory / f"{name}.log"
        try:
            with log.open("ab") as output:
                guard = subprocess.Popen(
                    [sys.executable, "-I", str(Path(__file__).with_name("guard.py")), *words],
                    pass_fds=(reading,),
                    start_new_session=True,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
        finally:
            os.close(reading)
        return cls(name=name, log=log, guard=guard, lifeline=writing)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until READY says so; raise ServiceError with the log when it never does."""
        deadline = time.monotonic() + START_S
        while not ready():
            if self.guard.poll() is not None:
                raise ServiceError(f"{self.name} ended while starting:\n{self.last_words()}")
            if time.monotonic() > deadline:
                words = self.last_words()
                self.stop()
                raise ServiceError(f"{self.name} is not ready after {START_S:.0f} s:\n{words}")
            time.sleep(POLL_S)

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def stop(self) -> None:
        if self.lifeline >= 0:
            with contextlib.suppress(BrokenPipeError):  # the server has ended by itself
                os.write(self.lifeline, b"s")
            os.close(self.lifeline)
            self.lifeline = -1
        self.guard.wait(START_S)

    def kill(self) -> None:
        """SIGKILL to the server and every process of its own; its files stay as they are."""
        while victims := descendants(self.guard.pid):
            for pid in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_S)
        self.stop()


def descendants(pid: int) -> list[int]:
    """The living processes below `pid`, whatever their process group."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(entry)) and stat[0] not in "ZX":
            children.setdefault(stat[1], []).append(int(entry.name))
    found: list[int] = []
    layer = [pid]
    while layer:
        layer = [child for parent in layer for child in children.get(parent, ())]
        found += layer
    return found


def _stat(entry: Path) -> tuple[str, int] | None:
    """State and parent of a process (proc(5)); None if it is gone."""
    try:
        words = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return words[0], int(words[1])


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def accepts_connections(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
