"""Ask gateways to send again what the database no longer has, after it was restored from a backup.

A gateway keeps acknowledged batches for a while. The request stands in the acknowledgement of each
stream from the first number that the database lacks, and leaves it once that number is there.
"""

from dataclasses import dataclass
from uuid import UUID

import psycopg

from cloud.audit.model import Event
from cloud.audit.store import record_now
from cloud.errors import UnknownGateway
from cloud.ingest.ledger import SQL
from protocols.ids import Lane


@dataclass(frozen=True, slots=True)
class Rewound:
    """One stream and the number from which it is asked to send again."""

    gateway: str
    epoch: UUID
    lane: Lane
    rewind_to: int


def rewind(conn: psycopg.Connection, gateway: str | None, *, actor: str) -> list[Rewound]:
    """Ask `gateway`, or every one (None), to send again; the streams that were asked.

    UnknownGateway if there is none of that name.
    """
    with conn.transaction():
        if gateway is not None and not conn.execute(SQL["gateways"], ([gateway],)).fetchone():
            raise UnknownGateway(
                f"there is no gateway {gateway!r}; see: eclor provision gateway list"
            )
        rows = conn.execute(SQL["rewind"], {"gateway": gateway}).fetchall()
        asked = [Rewound(name, epoch, Lane(lane), to) for name, epoch, lane, to in rows]
        for name in sorted({stream.gateway for stream in asked}):
            after = {
                f"{stream.epoch} {stream.lane.label}": stream.rewind_to
                for stream in asked
                if stream.gateway == name
            }
            record_now(conn, Event(actor, "rewound", f"gateway:{name}", after=after))
    return asked
