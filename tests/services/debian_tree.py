"""A Debian 13 tree with TimescaleDB and Mosquitto, for machines whose packages lack them.

Made once by mmdebstrap (about 25 s, 534 MB) and kept outside the repository, in
`$XDG_CACHE_HOME/eclor/trees` (default `~/.cache/eclor/trees`), under a name made from the suite,
the architecture and the package list. The tree is built beside its final name and renamed when it
is complete: an interrupted build is never used, and the next build sweeps it away.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.tools import UnavailableError, require

SUITE = "trixie"
PACKAGES = ("postgresql-17-timescaledb", "mosquitto")
RUNNER = {"bwrap": "bubblewrap"}
BUILDER = {"mmdebstrap": "mmdebstrap"}


def prepare() -> Path:
    """The complete tree; builds it when it is not there yet."""
    tree = _place()
    if tree.is_dir():
        require(RUNNER)
        return tree
    require(RUNNER | BUILDER)
    tree.parent.mkdir(parents=True, exist_ok=True)
    with _only_builder(tree.parent):
        if not tree.is_dir():
            _build(tree)
    return tree


def _place() -> Path:
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "eclor" / "trees" / f"{SUITE}-{platform.machine()}-{key}"


@contextmanager
def _only_builder(directory: Path) -> Iterator[None]:
    """One build at a time on this machine; the kernel frees the lock of a killed builder."""
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(tree: Path) -> None:
    unfinished = tree.with_name(f".{tree.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    print(f"eclor: making the Debian 13 tree {tree} (once, about a minute)", file=sys.stderr)
    include = f"--include={','.join(PACKAGES)}"
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=apt", include, SUITE, str(unfinished)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UnavailableError(
            f"mmdebstrap failed with status {done.returncode}:\n{done.stderr[-2000:]}"
        )
    unfinished.rename(tree)
