"""Programs that the tests call and the machine lacks: installed where we may, named where not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# A Modbus client of somebody else's making, which reads the simulator, and what builds the server
# that the agent reads (tests/foreign): libmodbus is no program, its header stands for it.
FOREIGN_CLIENTS = {"mbpoll": "mbpoll", "gcc": "gcc"}
FOREIGN_HEADERS = {
    "/usr/include/modbus/modbus.h": "libmodbus-dev",
    "/usr/include/stdio.h": "libc6-dev",
}


class UnavailableError(RuntimeError):
    """A service or tool cannot be had on this machine; the message names the remedy."""


def require(tools: Mapping[str, str]) -> None:
    """Have every program or file of TOOLS (name: Debian package), as root on Debian by installing
    it."""
    missing = sorted(package for tool, package in tools.items() if not _present(tool))
    if not missing:
        return
    install = f"apt-get install {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"the tests need tools that are missing: {install}")
    print(f"eclor: missing test tools: {install}", file=sys.stderr, flush=True)
    _apt_get("update", "-q")
    _apt_get("install", "-y", "-q", "--no-install-recommends", *missing)


def _present(tool: str) -> bool:
    return Path(tool).exists() if tool.startswith("/") else shutil.which(tool) is not None


def _apt_get(*words: str) -> None:
    done = subprocess.run(
        ["apt-get", *words],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UnavailableError(f"apt-get {' '.join(words)} failed:\n{done.stderr[-2000:]}")
