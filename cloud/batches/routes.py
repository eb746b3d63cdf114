"""Batches over HTTP: the bytes that MQTT carries, taken over by the same ledger.

For gateways behind a proxy that lets only HTTP through, and for repairs by hand. Sending a batch
again is harmless: the answer is the same acknowledgement document.
"""

import json
from typing import Annotated
from uuid import UUID

import psycopg
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from cloud.api.auth import Principal, Scope, require
from cloud.api.deps import Connection, Now
from cloud.api.problems import Problem, forbidden, invalid, openapi_responses
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery, Outcome, Status
from cloud.registry import store as registry
from cloud.settings import Settings
from cloud.storage.pool import connect
from protocols import wire
from protocols.ack import Ack, StreamAck, encode_ack
from protocols.ids import Epoch, GatewayId, Lane
from protocols.time import US_PER_S, TimeUs
from protocols.wire import MAX_PAYLOAD_BYTES, WireError

router = APIRouter(tags=["ingest"])

MEDIA_TYPE = "application/x-protobuf"
ACK = json.loads(
    encode_ack(
        Ack(
            GatewayId("cab-centre-1"),
            TimeUs(1_767_225_600 * US_PER_S),
            (
                StreamAck(
                    epoch=Epoch(UUID("5b0c1e9e-2f3a-4c58-9f0e-6d8f8f3b7a11")),
                    lane=Lane.LIVE,
                    watermark=41,
                    ranges=((43, 45),),
                    quarantined=(),
                    rewind_to=None,
                ),
            ),
        )
    )
)
"""An example: all up to batch 41 and 43 to 45 are here, 42 is not."""


@router.post(
    "/batches",
    responses={
        200: {
            "description": "Stored, or stored before: the acknowledgement (docs: formats)",
            "content": {"application/json": {"schema": {"type": "object"}, "example": ACK}},
        },
        **openapi_responses(401, 403, 413, 415, 422, 503),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                MEDIA_TYPE: {
                    "schema": {
                        "type": "string",
                        "format": "binary",
                        "maxLength": MAX_PAYLOAD_BYTES,
                        "description": "One Batch of protocols/wire.proto",
                    }
                }
            },
        }
    },
)
async def post_batch(
    request: Request,
    who: Annotated[Principal, require(Scope.INGEST)],
    conn: Connection,
    clock: Now,
) -> Response:
    """Take one batch over; the answer, after COMMIT, tells the gateway what it may delete.

    A damaged batch of a known gateway is quarantined and acknowledged, so that it blocks nothing;
    `Eclor-Batch` says which of stored, duplicate and quarantined it was.
    """
    if request.headers.get("content-type", "").split(";")[0].strip() != MEDIA_TYPE:
        raise Problem(415, "unsupported-media-type", f"send the batch as {MEDIA_TYPE}")
    payload = await request.body()
    await _check_sender(conn, who, payload)
    settings: Settings = request.app.state.settings
    delivery = Delivery(payload, clock.now_us())
    outcome = await run_in_threadpool(_accept, settings, delivery)
    return _answer(outcome)


async def _check_sender(conn: psycopg.AsyncConnection, who: Principal, payload: bytes) -> None:
    """A key speaks for known gateways of its territory; nothing else reaches ingest."""
    try:
        gateway = wire.decode_head(payload).stream.gateway
    except WireError as exc:
        raise invalid(f"this is no batch: {exc} ({exc.reason})") from exc
    known = await registry.gateways(conn, gateway=gateway)
    if not known or not who.sees(known[0].territory):
        raise forbidden(f"gateway {gateway!r} is unknown or out of this key's reach")


def _accept(settings: Settings, delivery: Delivery) -> Outcome:
    """Ingest is synchronous and wants a connection of its own: off the event loop."""
    with connect(settings.database, role="api batches") as conn:
        return accept(conn, [delivery], limits=settings.ingest)[0]


def _answer(outcome: Outcome) -> Response:
    if outcome.ack is None:
        raise invalid(f"the batch was set aside: {outcome.detail} ({outcome.reason})")
    headers = {"Eclor-Batch": outcome.status.value}
    if outcome.status is Status.QUARANTINED:
        headers["Eclor-Reason"] = outcome.reason
    return Response(encode_ack(outcome.ack), media_type="application/json", headers=headers)
