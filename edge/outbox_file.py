"""The SQLite file under the outbox: opening, limits, ballast, errors by what can be done.

Measured (SQLite 3.40): on a full disk even DELETE fails, and it still fails after room was made
when it is one big statement. So the file stops growing at a page count well below the limit, a
ballast file is given back to the disk when a small transaction fails, and the write-ahead log is
kept short.
"""

# ruff: noqa: N818  (names say the fault; that it is an error, the root says)

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.errors import EdgeError, Retriable

PAGE_BYTES = 4_096
BALLAST_BYTES = 512 * 1024
WAL_RESERVE_BYTES = 2 * 1024 * 1024
MIN_BYTES = 8 * 1024 * 1024
"""Smallest cap that leaves room for ballast, log and the batches in flight."""
_WAL_PAGES = 32  # checkpoint often: 1.5 MB of disk then held 6,507 rows instead of 220 per MB
_CHECK_LIMIT_BYTES = 64 * 1024 * 1024  # quick_check reads the file: 10 s and more beyond this
_BUSY_S = 2.0


class OutboxError(EdgeError):
    """Root of what the outbox raises."""


class OutboxUnavailable(OutboxError, Retriable):
    """The file cannot be opened or written now (permission, read-only, I/O error): reopen later."""


class OutboxFull(OutboxError, Retriable):
    """Nothing more can be dropped to make room; `reason` is disk_full or store_full."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class OutboxCorrupt(OutboxError):
    """The file is damaged: set it aside and begin a new one."""


class OutboxForeign(OutboxError):
    """The file belongs to another gateway or to a newer agent: correct state_dir."""


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into what can be done about them; a full disk passes unchanged."""
    try:
        yield
    except sqlite3.DatabaseError as exc:
        code = primary_code(exc)
        if code == sqlite3.SQLITE_FULL:
            raise
        if code == 0:  # not the file but the call is at fault
            raise
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise OutboxCorrupt(f"{path}: {exc}") from exc
        raise OutboxUnavailable(f"{path}: {exc}") from exc


def primary_code(exc: sqlite3.Error) -> int:
    """SQLite's primary result code, 0 where the error came from elsewhere."""
    return int(getattr(exc, "sqlite_errorcode", 0)) & 0xFF


def is_full(exc: sqlite3.Error) -> bool:
    return primary_code(exc) == sqlite3.SQLITE_FULL


def connect(path: Path, *, max_bytes: int) -> sqlite3.Connection:
    """Open `path` with every durability setting made; the whole stays below `max_bytes`."""
    with translated(path):
        connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        with translated(path):
            _configure(connection, max_bytes)
            _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection, max_bytes: int) -> None:
    pages = (max_bytes - BALLAST_BYTES - WAL_RESERVE_BYTES) // PAGE_BYTES
    for pragma in (
        f"page_size = {PAGE_BYTES}",
        "auto_vacuum = INCREMENTAL",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {_WAL_PAGES}",
        f"journal_size_limit = {WAL_RESERVE_BYTES}",
        f"max_page_count = {pages}",
        "temp_store = MEMORY",
        "cache_size = -1024",  # KiB
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size > _CHECK_LIMIT_BYTES:
        return
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise OutboxCorrupt(f"{path}: {verdict}")


def companions(path: Path) -> tuple[Path, ...]:
    """The files that belong to a database file: itself, its log, its shared memory."""
    return tuple(path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm"))


def set_aside(path: Path, *, now_us: int) -> Path:
    """Rename a damaged store for inspection; it takes the place of an older one, if it is there.

    A note of it is durable before the rename, so that a stop at any moment leaves it to be declared
    (`to_declare`).
    """
    if path.exists():
        for old in path.parent.glob(f"{path.name}.corrupt-*"):
            old.unlink(missing_ok=True)
    aside = path.with_name(f"{path.name}.corrupt-{now_us}")
    write_durably(_note_of(path), aside.name.encode())
    for part, target in zip(companions(path), companions(aside), strict=True):
        with suppress(FileNotFoundError):
            part.rename(target)
    sync_directory(path.parent)
    return aside


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".set-aside")


def to_declare(path: Path) -> Path | None:
    """The store that was set aside and whose loss the present one may not have noted yet."""
    try:
        aside = path.with_name(_note_of(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return aside if aside.exists() else None  # else it was noted, and never renamed


def declared(path: Path) -> None:
    """The loss is noted, or there is none: forget it."""
    note = _note_of(path)
    if note.exists():
        note.unlink()
        sync_directory(path.parent)


def put_back(path: Path, aside: Path) -> None:
    """Undo `set_aside`: the damaged store takes the place of what was begun of a new one."""
    for part, target in zip(companions(path), companions(aside), strict=True):
        if target.exists():
            target.rename(part)
        else:
            part.unlink(missing_ok=True)
    declared(path)


def sync_directory(directory: Path) -> None:
    """Make renames and new names in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Replace `path` by `data` at once: after a power cut it is the old file or the new one."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)


class Ballast:
    """Disk space held back, so that a full disk can still be written to for deleting."""

    def __init__(self, path: Path, *, size_bytes: int = BALLAST_BYTES) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def held(self) -> bool:
        try:
            return self._path.stat().st_blocks * 512 >= self._size_bytes
        except FileNotFoundError:
            return False

    def release(self) -> bool:
        """Give the space back to the disk; False if there was none to give."""
        held = self.held()
        self._path.unlink(missing_ok=True)
        return held

    def restore(self) -> bool:
        """Take the space again; False while the disk has no room for it."""
        if self.held():
            return True
        try:
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
        except OSError:
            self._path.unlink(missing_ok=True)
            return False
        return True
