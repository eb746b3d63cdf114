"""What comes in and what became of it, and the checks that need no database."""

import enum
import hashlib
from dataclasses import dataclass

from cloud.ingest import columns
from cloud.ingest.columns import Batch
from protocols import topics, wire
from protocols.ack import Ack
from protocols.batch import BatchHead
from protocols.ids import GatewayId
from protocols.quantities import Kind
from protocols.time import US_PER_S
from protocols.topics import TopicError
from protocols.wire import WireError

_LATEST_US = 4_102_444_800 * US_PER_S  # 2100-01-01: a head beyond it is nonsense


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as it arrived; `topic` is None over HTTP, where the key says who may send."""

    payload: bytes
    received_us: int
    topic: str | None = None


class Status(enum.StrEnum):
    """What became of a delivery."""

    STORED = "stored"
    DUPLICATE = "duplicate"  # taken over before; nothing to do but acknowledge again
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of one delivery, in the order of the deliveries.

    `ack` is the document for the gateway, shared by all its outcomes. It is None when the gateway
    keeps custody: it is unknown, or the message is not its own. `reason` is a word of the
    catalogue in docs/data-model.md, empty unless quarantined. `stored_rows` counts rows added.
    """

    status: Status
    head: BatchHead | None
    reason: str = ""
    detail: str = ""
    rows: int = 0
    stored_rows: int = 0
    kept_whole: bool = True  # false: the quarantine was full, only the count is kept
    ack: Ack | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a delivery goes to quarantine.

    `trusted`: a known gateway vouches for it, which may be told so. `entered`: it uses up its
    sequence number, so it gets an entry in the ledger.
    """

    reason: str
    detail: str
    trusted: bool = True
    entered: bool = True


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery whose head was looked at."""

    delivery: Delivery
    sha256: bytes
    head: BatchHead | None
    fault: Fault | None = None

    @property
    def sender(self) -> GatewayId | None:
        """Who sent it: the broker lets a gateway write to its own topics only."""
        try:
            return topics.parse_up(self.delivery.topic or "")[0]
        except TopicError:
            return self.head.stream.gateway if self.head and self.delivery.topic is None else None


def open_envelope(delivery: Delivery) -> Envelope:
    """Read the head and compare it with the topic; the body is not touched."""
    sha256 = hashlib.sha256(delivery.payload).digest()
    try:
        head = wire.decode_head(delivery.payload)
    except WireError as exc:
        fault = Fault(exc.reason, str(exc), trusted=False, entered=False)
        return Envelope(delivery, sha256, None, fault)
    return Envelope(delivery, sha256, head, _topic_fault(delivery.topic, head) or _head_fault(head))


def _topic_fault(topic: str | None, head: BatchHead) -> Fault | None:
    if topic is None:
        return None
    try:
        gateway, lane = topics.parse_up(topic)
    except TopicError as exc:
        return Fault("bad_topic", str(exc), trusted=False, entered=False)
    if gateway != head.stream.gateway:
        detail = f"batch of {head.stream.gateway} on the topic of {gateway}"
        return Fault("foreign_gateway", detail, trusted=False, entered=False)
    if lane is not head.stream.lane:
        detail = f"{head.stream.lane.label} batch on the {lane.label} topic"
        return Fault("wrong_lane", detail)
    return None


def _head_fault(head: BatchHead) -> Fault | None:
    if not 0 <= head.created_us <= _LATEST_US:
        return Fault("bad_time", f"created at {head.created_us} us")
    return None


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times that rows may have: not before `floor_us` of their kind, not after `latest_us`."""

    floor_us: dict[Kind, int]
    latest_us: int


def open_body(envelope: Envelope, bounds: Bounds) -> Batch | Fault:
    """Decode the body and check its times."""
    try:
        batch = columns.decode(envelope.delivery.payload)
    except WireError as exc:
        return Fault(exc.reason, str(exc))
    for block in batch.blocks:
        if not len(block):
            continue
        first, last = int(block.t_us.min()), int(block.t_us.max())
        if last > bounds.latest_us:
            late_s = (last - bounds.latest_us) / US_PER_S
            return Fault("future", f"{block.kind.label} {late_s:.0f} s beyond what is accepted")
        if first < bounds.floor_us[block.kind]:
            return Fault("too_old", f"{block.kind.label} at {first} us, before the raw floor")
    return batch
