"""The real ledger behind `DeliveryMachine`: `cloud.ingest.accept` on PostgreSQL."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from cloud.ingest import ledger
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery, Status
from protocols import topics
from protocols.ack import Ack
from protocols.ids import GatewayId
from protocols.time import US_PER_S
from protocols.wire import decode_head
from tests.integration.deliveries import GATEWAY, NOW_US, add_gateways
from tests.property.test_edge_delivery_model import Cloud, DeliveryMachine

_TABLES = ("light_reading", "outcome_record", "gap_record")


class RealCloud(Cloud):
    """A gateway of its own for each example: nothing has to be cleaned between them."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.conn = conn
        self.gateway = GatewayId(f"gw-{uuid.uuid4().hex[:12]}")
        row = conn.execute(
            "insert into gateway (site_id, name) select site_id, %s from site returning gateway_id",
            (self.gateway,),
        ).fetchone()
        assert row is not None
        self.gateway_id: int = row[0]
        self.now_us = int(NOW_US)
        self.backup: dict[str, list[Any]] = {}
        self.ledger: list[tuple[Any, ...]] = []

    def receive(self, payloads: list[bytes]) -> Ack | None:
        self.now_us += US_PER_S
        if not payloads:
            return ledger.acks(self.conn, [self.gateway_id], self.now_us).get(self.gateway)
        outcomes = accept(
            self.conn,
            [
                Delivery(p, self.now_us, topics.up(self.gateway, decode_head(p).stream.lane))
                for p in payloads
            ],
        )
        for outcome in outcomes:
            assert outcome.status is not Status.QUARANTINED, outcome.detail
            assert outcome.stored_rows == outcome.rows, "the unique index had to help"
        return outcomes[-1].ack

    def back_up(self) -> None:
        self.backup = {table: self._ids(table) for table in _TABLES}
        self.ledger = self.conn.execute(
            "select epoch, lane, seq from batch_ledger where gateway_id = %s", (self.gateway_id,)
        ).fetchall()

    def restore(self) -> None:
        with self.conn.transaction():
            for table in _TABLES:
                kept = self.backup.get(table, [])
                self.conn.execute(
                    sql.SQL(
                        "delete from {} where device_id in (select device_id from device where "
                        "gateway_id = %s) and not (device_id::text || ' ' || t::text = any(%s))"
                    ).format(sql.Identifier(table)),
                    (self.gateway_id, kept),
                )
            self.conn.execute(
                "delete from batch_ledger where gateway_id = %s and not "
                "(epoch::text || ' ' || lane || ' ' || seq = any(%s))",
                (self.gateway_id, [f"{epoch} {lane} {seq}" for epoch, lane, seq in self.ledger]),
            )
            self.conn.execute("delete from stream where gateway_id = %s", (self.gateway_id,))
            self.conn.execute(
                "insert into stream (gateway_id, epoch, lane, received) "
                "select gateway_id, epoch, lane, range_agg(int8range(seq, seq + 1)) "
                "from batch_ledger where gateway_id = %s group by 1, 2, 3",
                (self.gateway_id,),
            )

    def _ids(self, table: str) -> list[str]:
        query = sql.SQL(
            "select device_id::text || ' ' || t::text from {} where device_id in "
            "(select device_id from device where gateway_id = %s)"
        ).format(sql.Identifier(table))
        return [name for (name,) in self.conn.execute(query, (self.gateway_id,))]

    def stored_rows(self) -> int:
        return sum(len(self._ids(table)) for table in _TABLES)

    def declared_rows(self) -> int:
        row = self.conn.execute(
            "select coalesce(sum(rows), 0)::int8 from gap_record where device_id in "
            "(select device_id from device where gateway_id = %s)",
            (self.gateway_id,),
        ).fetchone()
        assert row is not None
        return int(row[0])


@contextmanager
def machine_on(url: str, base: type[DeliveryMachine]) -> Iterator[type[DeliveryMachine]]:
    """The machine with the ledger of the migrated database at `url`."""
    add_gateways(url, GATEWAY)
    with psycopg.connect(url, autocommit=True) as conn:

        class OnPostgres(base):  # type: ignore[misc,valid-type]  # a base that is a value
            def cloud_for(self, seed: int) -> Cloud:
                return RealCloud(conn)

            def gateway_of(self, cloud: Cloud) -> GatewayId:
                assert isinstance(cloud, RealCloud)
                return cloud.gateway

        yield OnPostgres
