"""Opening the outbox's file: its tables where it is new, and whether it is ours."""

import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.outbox_file import (
    OutboxCorrupt,
    OutboxForeign,
    OutboxUnavailable,
    connect,
    sync_directory,
    translated,
)
from protocols.ids import GatewayId, Lane

VERSION = 2
_LOG_BYTES = 512 * 1024  # the log keeps this size: appending then needs no new disk block
_SCHEMA = Path(__file__).with_name("outbox_schema.sql")


def opened(
    path: Path,
    gateway: GatewayId,
    max_bytes: int,
    now_us: int,
    new_epoch: Callable[[], uuid.UUID],
) -> sqlite3.Connection:
    """The store of `gateway` at `path`, made if there is none.

    Raises OutboxUnavailable while it cannot be opened, OutboxForeign if it is not ours and
    OutboxCorrupt if it is damaged.
    """
    with as_unavailable(path):
        connection = connect(path, max_bytes=max_bytes)
        try:
            with translated(path):
                _prepare(connection, gateway, now_us, new_epoch)
                _check_owner(connection, path, gateway)
            sync_directory(path.parent)
        except BaseException:
            connection.close()
            raise
    return connection


def _prepare(
    connection: sqlite3.Connection,
    gateway: GatewayId,
    now_us: int,
    new_epoch: Callable[[], uuid.UUID],
) -> None:
    """Make the tables of a new file, and the log as long as a full disk will need it."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone():
        script = _SCHEMA.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN IMMEDIATE;{script}")
        connection.execute(
            "INSERT INTO store (only_row, version, gateway, epoch, created_us) VALUES (1,?,?,?,?)",
            (VERSION, gateway, str(new_epoch()), now_us),
        )
        connection.executemany("INSERT INTO lane (lane) VALUES (?)", [(lane,) for lane in Lane])
        connection.execute("COMMIT")
    with suppress(sqlite3.OperationalError):  # no room: the disk is full already
        connection.execute(
            "INSERT OR REPLACE INTO document VALUES ('reserve', zeroblob(?))", (_LOG_BYTES,)
        )
    connection.execute("DELETE FROM document WHERE name = 'reserve'")


def _check_owner(connection: sqlite3.Connection, path: Path, gateway: GatewayId) -> None:
    row = connection.execute("SELECT version, gateway FROM store").fetchone()
    if row is None:
        raise OutboxCorrupt(f"{path}: table store is empty")
    version, owner = row
    if version != VERSION:
        raise OutboxForeign(
            f"{path}: made by another version of the agent (layout {version}, this one reads "
            f"{VERSION}). Remedy: install that version again until its batches are sent, or use "
            "another gateway.state_dir"
        )
    if owner != gateway:
        raise OutboxForeign(
            f"{path}: belongs to gateway {owner!r}, the configuration says {gateway!r}. "
            "Remedy: correct gateway.id, or use another gateway.state_dir"
        )


@contextmanager
def as_unavailable(path: Path) -> Iterator[None]:
    """While opening, a full disk and a forbidden directory both mean: try again later."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as exc:
        raise OutboxUnavailable(f"{path}: {exc}") from exc
