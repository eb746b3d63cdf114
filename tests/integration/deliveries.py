"""A small registry and batches for it, for the tests of ingest."""

import uuid
from collections.abc import Sequence

import psycopg

from cloud.ingest.delivery import Delivery
from protocols import topics, wire
from protocols.batch import Reading, Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs

NOW_US = TimeUs(1_764_000_000 * US_PER_S)  # 2025-11-24 16:00 UTC
EPOCH = Epoch(uuid.UUID("5b0c1e9e-2f3a-4c58-9f0e-6d8f8f3b7a11"))
GATEWAY = GatewayId("cab-centre-1")
MINUTE_US = 60 * US_PER_S


def add_gateways(url: str, *names: str) -> None:
    """A territory with one cabinet and the gateways in it, each with a declared lamp-00."""
    with psycopg.connect(url) as conn:
        conn.execute("insert into territory (slug, name) values ('longwy', 'Longwy')")
        conn.execute(
            "insert into site (territory_id, slug, name, kind, latitude, longitude)"
            " select territory_id, 'centre', 'Centre', 'cabinet', 49.52, 5.77 from territory"
        )
        for name in names:
            conn.execute(
                "insert into gateway (site_id, name) select site_id, %s from site", (name,)
            )
        conn.execute(
            "insert into device (gateway_id, name, kind) select gateway_id, 'lamp-00', 'light'"
            " from gateway"
        )


def lamp_rows(
    *, seq: int = 1, rows: int = 5, device: str = "lamp-00", start_us: int = NOW_US
) -> list[Reading]:
    """Minutes of one lamp, different for each seq, ending before `start_us`."""
    return [
        reading(
            Kind.LIGHT,
            DeviceId(device),
            TimeUs(start_us - (seq * rows - i) * MINUTE_US),
            window_s=60,
            level_pct=70.5,
            power_w=21.3 + i,
            energy_wh=1_000 * seq + i,
            status=0,
        )
        for i in range(rows)
    ]


def delivery(
    readings: Sequence[Reading],
    *,
    seq: int = 1,
    gateway: GatewayId = GATEWAY,
    epoch: Epoch = EPOCH,
    lane: Lane = Lane.LIVE,
    rows_before: int = 0,
    received_us: int = NOW_US,
) -> Delivery:
    """The batch as it arrives over MQTT."""
    stream = Stream(gateway, epoch, lane)
    payload = wire.encode(stream, seq, readings, created_us=received_us, rows_before=rows_before)
    return Delivery(payload, received_us, topics.up(gateway, lane))


def lamp_delivery(seq: int, *, rows: int = 5, gateway: GatewayId = GATEWAY) -> Delivery:
    """Batch `seq` of the live stream of a gateway's lamp."""
    readings = lamp_rows(seq=seq, rows=rows)
    return delivery(readings, seq=seq, gateway=gateway, rows_before=(seq - 1) * rows)
