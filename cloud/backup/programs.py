"""pg_dump and pg_restore: where they are, which version, run with the password out of sight."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cloud.errors import BackupError

_VERSION_S = 10
_SHOWN = 2_000
"""Characters of a program's complaint that are repeated."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program of PostgreSQL and its major version."""

    path: str
    major: int


def find(name: str, directory: Path | None) -> Program:
    """The program in `directory`, else on the PATH; BackupError says how to get it."""
    path = shutil.which(name, path=None if directory is None else str(directory))
    if path is None:
        where = "on the PATH" if directory is None else f"in {directory}"
        raise BackupError(
            f"{name} is not {where}; install PostgreSQL's client programs (on Debian: "
            "postgresql-client), or name their folder with --programs"
        )
    told = _run([path, "--version"], {}, timeout_s=_VERSION_S).stdout
    match = re.search(r"\(PostgreSQL\) (\d+)", told)
    if match is None:
        raise BackupError(f"{path} --version says {told.strip()!r}: is this PostgreSQL's {name}?")
    return Program(path, int(match[1]))


def run(program: Program, words: Sequence[str], *, database_url: str | None = None) -> str:
    """Run it, against a database where one is given; its output. BackupError with its complaint."""
    target: list[str] = []
    secret: dict[str, str] = {}
    if database_url is not None:
        address, secret = _without_password(database_url)
        target = [f"--dbname={address}"]
    done = _run([program.path, *target, *words], secret)
    if done.returncode != 0:
        raise BackupError(f"{Path(program.path).name} failed: {done.stderr.strip()[-_SHOWN:]}")
    return done.stdout


def _without_password(url: str) -> tuple[str, dict[str, str]]:
    """The address without the password, which every user of the machine could read; and that."""
    parts = conninfo_to_dict(url)
    password = parts.pop("password", None)
    return make_conninfo("", **parts), {} if password is None else {"PGPASSWORD": str(password)}


def _run(
    command: Sequence[str], secret: Mapping[str, str], *, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env={**os.environ, **secret},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise BackupError(f"{command[0]} cannot be run: {exc}") from exc
