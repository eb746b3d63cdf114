"""The committer and a store that cannot be had, or that proves to be damaged."""

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edge import documents
from edge.batching import LaneRule
from edge.committer import COUNTERS, Committer
from edge.delivery import Policy
from edge.outbox import Outbox, OutboxCorrupt, OutboxUnavailable
from edge.outbox_file import MIN_BYTES
from edge.sender import Sender
from protocols.batch import reading
from protocols.ids import DeviceId, GatewayId
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs

NOW = 1_800_000_000 * US_PER_S


class Clock:
    """Stands still until a test moves it."""

    seconds = 0.0

    def now_us(self) -> TimeUs:
        return TimeUs(NOW + round(self.seconds * US_PER_S))

    def monotonic_s(self) -> float:
        return self.seconds


class Process:
    """A committer on the store in `directory`, which `fails` as often as told to open."""

    def __init__(self, directory: Path, *, counters: Mapping[str, Any], fails: int = 0) -> None:
        self.directory = directory
        self.fails = fails
        self.clock = Clock()
        self.recalled: list[Mapping[str, Any]] = []
        chance = random.Random(1)
        self.committer = Committer(
            self._open,
            clock=self.clock,
            sender=Sender(clock=self.clock, policy=Policy(), chance=chance),
            lanes=LaneRule(0.0),
            counters=lambda: counters,
            recall=self.recalled.append,
            chance=chance,
        )

    def _open(self, damaged: bool) -> Outbox:  # noqa: FBT001 - the committer's question
        if self.fails:
            self.fails -= 1
            raise OutboxUnavailable("read-only")
        return Outbox.open(
            self.directory,
            gateway=GatewayId("cab-1"),
            max_bytes=MIN_BYTES,
            now_us=NOW,
            damaged=damaged,
        )

    def commit(self) -> bool:
        row = reading(Kind.SAMPLE, DeviceId("meter"), TimeUs(NOW), point="p", value=1)
        self.committer.add([row])
        return self.committer.cycle()


def test_counters_are_recalled_before_the_first_commit_of_a_store_that_opens_late(
    tmp_path: Path,
) -> None:
    first = Process(tmp_path, counters={"total": 1_000_512})
    assert first.commit()
    first.committer.close()
    second = Process(tmp_path, counters={"total": 516}, fails=1)
    assert not second.commit()
    assert second.committer.document(COUNTERS) is None
    assert second.recalled == []
    second.clock.seconds = 60.0
    assert second.commit()
    assert second.recalled == [{"total": 1_000_512}]
    assert json.loads(second.committer.document(COUNTERS) or b"") == {"total": 516}
    assert second.committer.document("never stored") == b""
    second.committer.close()


def test_a_document_on_a_damaged_page_means_a_new_store_and_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged_page(*_: object) -> bytes:
        raise OutboxCorrupt("database disk image is malformed")

    process = Process(tmp_path, counters={})
    assert process.commit()
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "document", damaged_page)
        assert process.committer.document(COUNTERS) is None
    process.clock.seconds = 60.0
    assert process.commit()
    assert list(tmp_path.glob("outbox.sqlite.corrupt-*"))
    process.committer.close()


@pytest.mark.parametrize("document", [None, b"", b"\xff\x00{", b"[1", b'"text"'])
def test_a_document_that_cannot_be_read_counts_as_absent(document: bytes | None) -> None:
    assert documents.mapping(document) == {}
    assert documents.whole_number(document) == 0
