"""Child processes of the demo: none of them outlives it, not even after kill -9.

The kernel itself sends each child its stop signal when the demo dies (PR_SET_PDEATHSIG), so that
no clean-up code of ours has to run.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOG_TAIL_LINES = 8


class DemoError(click.ClickException):
    """Something the demo needs is not to be had; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account that a child runs under, where the demo itself is root."""

    uid: int
    gid: int
    name: str


class Child:
    """One process of the demo, its log file and how it is asked to stop."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        stop_signal: signal.Signals = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        account: Account | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self._stop_signal = stop_signal
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=[] if account else None,
                preexec_fn=_die_with_parent(os.getpid(), stop_signal),
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """DemoError with the last lines of its log, if the process has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with code {code}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines it wrote."""
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join(f"  {line}" for line in lines)

    def ask_to_stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(self._stop_signal)

    def stop(self, *, timeout_s: float = 10) -> int:
        """Ask, wait, and only then kill; returns the exit code."""
        self.ask_to_stop()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def _die_with_parent(parent: int, stop_signal: signal.Signals) -> "_DieWithParent":
    # Loaded here, not in the child: between fork and exec only the bare call is safe.
    return _DieWithParent(ctypes.CDLL(None, use_errno=True), parent, stop_signal)


@dataclass(frozen=True, slots=True)
class _DieWithParent:
    libc: ctypes.CDLL
    parent: int
    stop_signal: signal.Signals

    def __call__(self) -> None:
        self.libc.prctl(_PR_SET_PDEATHSIG, int(self.stop_signal))
        if os.getppid() != self.parent:  # it died before the call above
            os.kill(os.getpid(), signal.SIGKILL)
