"""What the delivery side of the agent asks of its durable store; `edge.outbox.Outbox` is one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edge.batching import Loss
from edge.outbox import Appended, Usage
from edge.seqset import Range
from protocols.ack import StreamAck
from protocols.batch import Reading
from protocols.ids import Epoch, Lane


class Store(Protocol):
    """Batches that wait, and a grace ring; the specification is that of `edge.outbox`."""

    epoch: Epoch
    path: Path
    set_aside: Path | None

    def append(
        self,
        lane: Lane,
        readings: Sequence[Reading],
        *,
        created_us: int,
        documents: Mapping[str, bytes] | None = None,
        losses: Sequence[Loss] = (),
        declare: bool = False,
    ) -> Appended: ...

    def acknowledge(self, ack: StreamAck, *, now_us: int) -> int: ...

    def rewind(self, ack: StreamAck, *, now_us: int) -> tuple[Range, ...]: ...

    def read(self, lane: Lane, seq: int) -> bytes | None: ...

    def held(self, lane: Lane) -> tuple[Range, ...]: ...

    def last_seq(self, lane: Lane) -> int: ...

    def document(self, name: str) -> bytes | None: ...

    def usage(self) -> Usage: ...

    def close(self) -> None: ...
