"""Programs that the tests call and the machine lacks: installed where we may, named where not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

# A Modbus client of somebody else's making, which reads the simulator.
FOREIGN_CLIENTS = {"mbpoll": "mbpoll"}


class UnavailableError(RuntimeError):
    """A service or tool cannot be had on this machine; the message names the remedy."""


def require(tools: Mapping[str, str]) -> None:
    """Have every program of TOOLS (program: Debian package), as root on Debian by installing it."""
    missing = sorted(package for tool, package in tools.items() if shutil.which(tool) is None)
    if not missing:
        return
    install = f"apt-get install {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise UnavailableError(f"the tests need tools that are missing: {install}")
    print(f"eclor: missing test tools: {install}", file=sys.stderr, flush=True)
    _apt_get("update", "-q")
    _apt_get("install", "-y", "-q", "--no-install-recommends", *missing)


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
