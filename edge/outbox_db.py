"""The open database of the outbox: transactions, single rows, and writing on a full disk."""

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from edge.outbox_file import (
    PAGE_BYTES,
    Ballast,
    OutboxCorrupt,
    OutboxFull,
    companions,
    is_full,
    translated,
)

_T = TypeVar("_T")

HEADROOM_BYTES = 512 * 1024
"""Left free on the disk: a log that cannot be written back to the file grows until all is full."""
RESERVE_BYTES = 16 * PAGE_BYTES
"""Of the file, left free by new rows: what is acknowledged may split a page of an index, and a
store that has no page for that could never be emptied again."""

VACUUM_PAGES = 1_024  # give free pages back to the disk beyond 4 MiB of them
_VACUUM_STEP = 50


class Database:
    """A connection and what belongs to its file; errors come as what can be done about them."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path
        self.ballast = Ballast(path.with_suffix(".ballast"))
        self.ballast.restore()

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, durable at the end; SQLite's own error where the disk is full."""
        with translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def patiently(self, write: Callable[[], _T]) -> _T:
        """Do `write`, a small transaction, also on a full disk: ballast is given for it.

        OutboxFull if even that does not help.
        """
        try:
            return write()
        except sqlite3.OperationalError as exc:
            if not is_full(exc):
                raise
            if not self.ballast.release():
                raise OutboxFull(self.path, "disk_full") from exc
        try:
            return write()
        except sqlite3.OperationalError as exc:
            raise OutboxFull(self.path, "disk_full") from exc
        finally:
            self.ballast.restore()

    def execute(self, sql: str, *parameters: object) -> int:
        """Run a statement; returns the number of rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, parameters: Sequence[tuple[object, ...]]) -> None:
        self._connection.executemany(sql, parameters)

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with translated(self.path):
            found: list[tuple[Any, ...]] = self._connection.execute(sql, parameters).fetchall()
        return found

    def row(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        with translated(self.path):
            found: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        return found

    def value(self, sql: str, *parameters: object) -> Any:
        """The first column of the one row that must be there."""
        found = self.row(sql, *parameters)
        if found is None:
            raise OutboxCorrupt(f"{self.path}: a row of the store is missing")
        return found[0]

    def trace(self, heard: Callable[[str], None] | None) -> None:
        """Hear every statement as it is run."""
        self._connection.set_trace_callback(heard)

    def size_bytes(self) -> int:
        """All files of the outbox together, ballast included."""
        files = [*companions(self.path), self.path.with_suffix(".ballast")]
        return sum(file.stat().st_size for file in files if file.exists())

    def free_bytes(self) -> int:
        """Free pages inside the file."""
        return int(self.value("PRAGMA freelist_count")) * PAGE_BYTES

    def room_bytes(self) -> int:
        """What new rows may still take, free pages and growth, the reserve left alone."""
        unused = self.limit_bytes() - int(self.value("PRAGMA page_count")) * PAGE_BYTES
        return unused + self.free_bytes() - RESERVE_BYTES

    def is_crowded(self, needed_bytes: int) -> bool:
        """Whether that would take the reserve, or grow into the disk's last `HEADROOM_BYTES`."""
        if self.room_bytes() < needed_bytes:
            return True
        if self.free_bytes() >= needed_bytes:
            return False
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize < needed_bytes + HEADROOM_BYTES

    def limit_bytes(self) -> int:
        """What the file may grow to."""
        return int(self.value("PRAGMA max_page_count")) * PAGE_BYTES

    def full_reason(self, needed_bytes: int) -> str:
        """Whether the limit stops us, or the disk."""
        return "store_full" if self.room_bytes() < needed_bytes else "disk_full"

    def shrink(self) -> None:
        """Give a long free list back to the disk, a little at a time; never worth an error."""
        if self.ballast.held() and self.value("PRAGMA freelist_count") > VACUUM_PAGES:
            with suppress(sqlite3.OperationalError):
                self.rows(f"PRAGMA incremental_vacuum({_VACUUM_STEP})")
