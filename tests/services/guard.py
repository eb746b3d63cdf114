"""Runs one server and ends it when its owner is gone, however the owner went (kill -9 included).

Started as a script: `guard.py LIFELINE_FD SIGNAL UID GID DIRECTORY -- PROGRAM ARGUMENT...`.
The owner holds the writing end of the lifeline pipe. When the owner writes a byte the guard stops
the server with SIGNAL and kills it if it does not obey; when the pipe closes without a word the
owner has died, and the guard also removes DIRECTORY. When the server ends by itself the guard ends
with its status. UID and GID are -1 where the server runs as the owner.
"""

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys

OBEDIENCE_S = 5.0
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def main(arguments: list[str]) -> int:
    lifeline, stop_signal, uid, gid = (int(word) for word in arguments[:4])
    directory, separator, *command = arguments[4:]
    assert separator == "--", arguments
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, not SIG_IGN: exec gives the server its default handlers back.
        signal.signal(number, lambda *_: None)
    # What the server leaves behind becomes our child, so that we can wait until it has ended too.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    server = subprocess.Popen(
        command,
        user=uid if uid >= 0 else None,
        group=gid if gid >= 0 else None,
        extra_groups=[] if uid >= 0 else None,
    )
    if not _owner_spoke_first(server, lifeline):
        return abs(server.wait())
    _stop(server, stop_signal)
    _reap_the_rest()
    if os.read(lifeline, 1) == b"":
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _owner_spoke_first(server: "subprocess.Popen[bytes]", lifeline: int) -> bool:
    """True when the owner spoke or died, False when the server ended first."""
    process = os.pidfd_open(server.pid)
    try:
        ready, _, _ = select.select([lifeline, process], [], [])
    finally:
        os.close(process)
    return lifeline in ready


def _stop(server: "subprocess.Popen[bytes]", stop_signal: int) -> None:
    server.send_signal(stop_signal)
    try:
        server.wait(OBEDIENCE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _reap_the_rest() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
