"""Changes of the registry: check, compare, write, record; all in the caller's hands or not at all.

A change of one object and the import of a whole document take the same way. What is already as it
should be is not written and leaves no audit event, so that importing a file twice does nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import psycopg

from cloud.api.faults import Fault
from cloud.audit import store as audit
from cloud.audit.model import Event
from cloud.registry import store
from cloud.registry.check import Formed, Known, check
from cloud.registry.model import SECTIONS, WORDS, Change, Device, Document, Record, plain
from cloud.registry.parse import DocumentFaults, parse

WRITE_TIMEOUT = "60s"
"""One statement of a write: importing 10,000 devices takes seconds, not the API's usual limit."""


class InUse(Exception):  # noqa: N818 - says what is the matter
    """The object cannot be deleted while something needs it; the message says what to do."""


class _DryRun(Exception):  # noqa: N818 - leaves the transaction, is never seen outside
    """Everything went well; undo it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an import did, or would do."""

    changes: tuple[Change, ...]
    unchanged: int
    dry_run: bool


async def import_document(
    conn: psycopg.AsyncConnection,
    body: bytes,
    *,
    actor: str,
    territory: str | None = None,
    dry_run: bool = False,
) -> Result:
    """Take the JSON document `body` over in one transaction; DocumentFaults names every fault.

    A dry run writes too, and then undoes it: what it does not find is not there.
    """
    result: Result | None = None
    try:
        async with conn.transaction():
            known = await _known(conn)
            document = parse(body, known, territory=territory)
            result = await _apply(conn, document, known, actor=actor, dry_run=dry_run)
            if dry_run:
                raise _DryRun
    except _DryRun:
        pass
    assert result is not None
    return result


async def put(
    conn: psycopg.AsyncConnection, document: Document, *, actor: str, territory: str | None = None
) -> Result:
    """Take `document` over in the caller's transaction; DocumentFaults names every fault."""
    known = await _known(conn)
    faults: list[Fault] = check(Formed(document), known, territory=territory)
    if faults:
        raise DocumentFaults(faults)
    return await _apply(conn, document, known, actor=actor, dry_run=False)


async def remove(
    conn: psycopg.AsyncConnection, section: str, record: Record, *, actor: str
) -> None:
    """Delete one record in the caller's transaction; InUse if something needs it."""
    word = WORDS[section]
    if isinstance(record, Device) and await store.has_readings(conn, record):
        raise InUse(f"{word} {record.label!r} has readings, which would lose their name; keep it")
    try:
        async with conn.transaction():
            await store.delete(conn, section, record)
    except psycopg.errors.ForeignKeyViolation as exc:
        needed_by = (exc.diag.table_name or "another table").replace("_", " ")
        remedy = f"delete what belongs to it first, or keep it, if that is {needed_by} data"
        raise InUse(f"{word} {record.label!r} is needed by a {needed_by}; {remedy}") from exc
    event = Event(actor, "deleted", f"{word}:{record.label}", plain(record), None)
    await audit.record(conn, [event])


async def _known(conn: psycopg.AsyncConnection) -> Known:
    await conn.execute(f"set local statement_timeout = '{WRITE_TIMEOUT}'")
    await store.lock(conn)
    return Known.of(await store.read(conn), await store.undeclared(conn))


async def _apply(
    conn: psycopg.AsyncConnection, document: Document, known: Known, *, actor: str, dry_run: bool
) -> Result:
    changes = tuple(_differences(document, known))
    for section in SECTIONS:
        records = [change.after for change in changes if change.section == section]
        await store.write(conn, section, records)
    await audit.record(conn, [_event(change, actor) for change in changes])
    total = sum(len(document.section(section)) for section in SECTIONS)
    return Result(changes, total - len(changes), dry_run)


def _differences(document: Document, known: Known) -> Iterable[Change]:
    for section, _, record in document.records():
        before = known.records[section].get(record.label)
        if before is None or plain(before) != plain(record):
            yield Change(section, before, record)


def _event(change: Change, actor: str) -> Event:
    return Event(
        actor,
        change.action,
        f"{WORDS[change.section]}:{change.after.label}",
        None if change.before is None else plain(change.before),
        plain(change.after),
    )
