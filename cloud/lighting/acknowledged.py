"""What gateways say of their plans: the state document, checked, and kept by gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from cloud.storage import queries
from protocols import documents
from protocols.documents import DocumentError
from protocols.ids import GatewayId
from protocols.time import TimeUs, to_datetime

SQL = queries.load(__file__)

MAX_BYTES = 16_384
MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class PlanState:
    """Hashes of the documents that hold, wait, and were refused last, as the gateway says."""

    t_us: TimeUs
    active: str | None
    next: str | None
    refused: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What became of the plan last issued: it holds, it waits for its time, or why it was refused;
    nothing of these while the gateway has not heard of it."""

    said_at: datetime
    active: bool
    waits: bool
    refused: str | None


class Standing(StrEnum):
    """What became of the plan last issued to a gateway."""

    HELD = "held"
    WAITS = "waits"
    REFUSED = "refused"
    UNCONFIRMED = "unconfirmed"


@dataclass(frozen=True, slots=True)
class IssuedTo:
    """The plan last issued to a gateway, and what that says of it; `said_at` None: nothing yet."""

    territory: str
    gateway: str
    plan_id: str
    issued_at: datetime
    valid_until: datetime
    said_at: datetime | None
    standing: Standing
    refused: str | None


class _Refused(msgspec.Struct, frozen=True):
    hash: str
    error: str


class _Plan(msgspec.Struct, frozen=True):
    active: str | None = None
    next: str | None = None
    refused: _Refused | None = None


class _State(msgspec.Struct, frozen=True):
    gateway: str
    t_us: int
    plan: _Plan = _Plan()


def decode_state(document: bytes, gateway: GatewayId) -> PlanState:
    """The part about plans of a state document; DocumentError, also where it is of another
    gateway. Other parts are none of ours and may grow."""
    form = documents.parse(document, _State, document="state", max_bytes=MAX_BYTES)
    if form.gateway != gateway:
        raise DocumentError(f"state: it is of {form.gateway}, on the topic of {gateway}")
    refused = form.plan.refused
    return PlanState(
        t_us=TimeUs(form.t_us),
        active=form.plan.active,
        next=form.plan.next,
        refused=refused.hash if refused else None,
        error=refused.error[:MAX_ERROR] if refused else None,
    )


async def keep(conn: AsyncConnection, said: Mapping[GatewayId, PlanState]) -> int:
    """Keep what gateways said; one that the registry does not know is passed over. How many."""
    kept = 0
    for gateway, state in said.items():
        values = {
            "gateway": gateway,
            "said_at": to_datetime(state.t_us),
            "active": state.active,
            "next": state.next,
            "refused": state.refused,
            "error": state.error,
        }
        kept += (await conn.execute(SQL["put_active"], values)).rowcount
    return kept


async def of_latest_plan(conn: AsyncConnection, gateway_id: int) -> Acknowledgement | None:
    """What the gateway says of the plan last issued to it; None: it has said nothing at all."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["acknowledgement"], {"gateway_id": gateway_id})
        row = await cursor.fetchone()
    if row is None:
        return None
    return Acknowledgement(row["said_at"], bool(row["active"]), bool(row["waits"]), row["refused"])


async def of_all(conn: AsyncConnection) -> list[IssuedTo]:
    """The plan last issued to each gateway, by territory and gateway."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(SQL["acknowledgements"])
        return [
            IssuedTo(
                row["territory"],
                row["gateway"],
                row["plan_id"],
                row["issued_at"],
                row["valid_until"],
                row["said_at"],
                _standing(row["active"], row["waits"], row["refused"]),
                row["refused"],
            )
            for row in await cursor.fetchall()
        ]


def _standing(active: object, waits: object, refused: object) -> Standing:
    if active:
        return Standing.HELD
    if waits:
        return Standing.WAITS
    return Standing.REFUSED if refused is not None else Standing.UNCONFIRMED
