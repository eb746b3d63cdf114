"""A program of this package beside the measurement: started, spoken to, and always ended."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.harness import ROOT, MeasurementError

_END_S = 15.0


class Child:
    """A running program; `first` is the line with which it said where it is."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.first = process.stdout.readline().strip()
        if not self.first:
            raise MeasurementError(f"{process.args!r} did not start")

    def result(self) -> Any:
        """End it; the document it prints."""
        out, _ = self._process.communicate("\n", timeout=_END_S)
        return json.loads(out)


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[Child]:
    """Module `benchmarks.modbus_load.{module}` as a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"benchmarks.modbus_load.{module}", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Child(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
