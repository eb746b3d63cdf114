"""The quarantine: deliveries that cannot be stored are kept whole, within a bound, and counted.

A delivery of no known gateway stands under the empty name: anybody can invent names, but there is
only one bound for all of them.
"""

import psycopg

from cloud.ingest.delivery import Envelope, Fault
from cloud.ingest.ledger import SQL
from protocols.time import to_datetime

_DETAIL_MAX = 500


def keep(
    conn: psycopg.Connection, gateway: str, envelope: Envelope, fault: Fault, *, limit: int
) -> bool:
    """Keep a delivery, or count it where the quarantine of its gateway is full (False)."""
    head = envelope.head
    parameters = {
        "gateway_name": gateway,
        "topic": envelope.delivery.topic or "",
        "payload": envelope.delivery.payload,
        "sha256": envelope.sha256,
        "reason": fault.reason,
        "detail": fault.detail.replace("\0", "?")[:_DETAIL_MAX],
        "received_at": to_datetime(envelope.delivery.received_us),
        "epoch": head.stream.epoch if head else None,
        "lane": int(head.stream.lane) if head else None,
        "seq": head.seq if head else None,
        "limit": limit,
    }
    if conn.execute(SQL["quarantine"], parameters).fetchone() is not None:
        return True
    conn.execute(SQL["refuse"], parameters)
    return False
