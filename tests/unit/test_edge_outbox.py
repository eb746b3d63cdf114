"""One test or more for each numbered invariant of `edge.outbox`."""

import random
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.batching import Loss
from edge.outbox import (
    FILE_NAME,
    PROTECTED,
    Outbox,
    OutboxForeign,
    OutboxUnavailable,
)
from edge.outbox_file import MIN_BYTES
from protocols.ack import StreamAck
from protocols.batch import Batch, Reading, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import US_PER_S, TimeUs
from protocols.wire import MAX_PAYLOAD_BYTES, decode

GATEWAY = GatewayId("cab-test-1")
NOW = 1_800_000_000 * US_PER_S


def rows(count: int, *, start: int = 0, seed: int = 0, noise: bool = False) -> list[Reading]:
    """`count` rows at consecutive seconds; noisy ones do not compress."""
    chance = random.Random(seed)
    return [
        reading(
            Kind.SAMPLE,
            DeviceId("meter"),
            TimeUs(NOW + (start + n) * US_PER_S),
            point=chance.randbytes(90).hex() if noise else "p",
            value=n,
        )
        for n in range(count)
    ]


@pytest.fixture
def open_outbox(tmp_path: Path) -> Iterator[Callable[..., Outbox]]:
    opened: list[Outbox] = []

    def open_(*, max_bytes: int = MIN_BYTES, gateway: GatewayId = GATEWAY) -> Outbox:
        opened.append(Outbox.open(tmp_path, gateway=gateway, max_bytes=max_bytes, now_us=NOW))
        return opened[-1]

    yield open_
    for outbox in opened:
        outbox.close()


def message(outbox: Outbox, lane: Lane, seq: int) -> Batch:
    payload = outbox.read(lane, seq)
    assert payload is not None
    return decode(payload)


def acked(outbox: Outbox, watermark: int, lane: Lane = Lane.LIVE) -> StreamAck:
    return StreamAck(outbox.epoch, lane, watermark)


def balance(outbox: Outbox, acknowledged_rows: int) -> bool:
    usage = outbox.usage()
    return usage.produced_rows == acknowledged_rows + usage.rows + usage.dropped_rows


def fill(outbox: Outbox, lane: Lane, batches: int, *, first: int = 0) -> list[tuple[Lane, int]]:
    """Append batches of about 16 kB; returns what was dropped on the way."""
    dropped: list[tuple[Lane, int]] = []
    for n in range(first, first + batches):
        content = rows(170, start=n * 170, seed=n, noise=True)
        dropped += outbox.append(lane, content, created_us=NOW).dropped
    return dropped


def test_invariant_1_sequence_has_no_gap_or_repeat_and_counts_rows(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for n in range(1, 4):
        assert outbox.append(Lane.LIVE, rows(n), created_us=NOW).batches == ((Lane.LIVE, n),)
    heads = [message(outbox, Lane.LIVE, seq).head for seq in (1, 2, 3)]
    assert [(head.seq, head.rows_before, head.rows) for head in heads] == [
        (1, 0, 1),
        (2, 1, 2),
        (3, 3, 3),
    ]


def test_invariant_1_lanes_are_counted_apart(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    assert outbox.append(Lane.HISTORY, rows(1), created_us=NOW).batches == ((Lane.HISTORY, 1),)


def test_invariant_1_an_emptied_store_goes_on_counting_after_a_restart(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(3), created_us=NOW)
    assert outbox.acknowledge(acked(outbox, 1)) == 1
    outbox.close()
    again = open_outbox()
    assert again.append(Lane.LIVE, rows(1), created_us=NOW).batches == ((Lane.LIVE, 2),)
    assert message(again, Lane.LIVE, 2).head.rows_before == 3


def test_invariant_1_a_failed_append_takes_no_number(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox._db.execute(
        "CREATE TEMP TRIGGER refuse BEFORE UPDATE ON lane BEGIN SELECT raise(ABORT, 'no'); END"
    )
    with pytest.raises(OutboxUnavailable):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    outbox._db.execute("DROP TRIGGER refuse")
    assert outbox.append(Lane.LIVE, rows(1), created_us=NOW).batches == ((Lane.LIVE, 1),)


def test_invariant_2_the_epoch_is_kept_with_the_file_and_new_with_a_new_file(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    first = open_outbox()
    epoch = first.epoch
    first.close()
    second = open_outbox()
    assert second.epoch == epoch
    second.close()
    (tmp_path / FILE_NAME).unlink()
    assert open_outbox().epoch != epoch


def test_invariant_3_what_append_returned_is_there_after_a_crash(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(2), created_us=NOW, documents={"counters": b"{}"})
    image = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    outbox.append(Lane.LIVE, rows(2), created_us=NOW)
    outbox.close()
    for name, data in image.items():  # the disk as it was in the middle of the run
        (tmp_path / name).write_bytes(data)
    again = open_outbox()
    assert again.held(Lane.LIVE) == ((1, 1),)
    assert again.document("counters") == b"{}"
    assert again.append(Lane.LIVE, rows(1), created_us=NOW).batches == ((Lane.LIVE, 2),)


def test_invariant_3_durability_settings_are_made(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    outbox = open_outbox()
    assert outbox._value("PRAGMA journal_mode") == "wal"
    assert outbox._value("PRAGMA synchronous") == 2  # FULL
    assert outbox._value("PRAGMA wal_autocheckpoint") == 32


def test_invariant_3_batch_and_documents_stand_or_fall_together(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW, documents={"counters": b"old"})
    outbox._db.execute(
        "CREATE TEMP TRIGGER refuse BEFORE UPDATE ON document BEGIN SELECT raise(ABORT, 'no'); END"
    )
    with pytest.raises(OutboxUnavailable):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW, documents={"counters": b"new"})
    assert outbox.document("counters") == b"old"
    assert outbox.last_seq(Lane.LIVE) == 1


def test_invariant_4_an_acknowledgement_deletes_watermark_and_ranges_only(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for _ in range(6):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    ack = StreamAck(outbox.epoch, Lane.LIVE, 2, ranges=((4, 4), (6, 6)))
    assert outbox.acknowledge(ack) == 4
    assert outbox.held(Lane.LIVE) == ((3, 3), (5, 5))
    assert outbox.acknowledge(ack) == 0
    assert outbox.read(Lane.LIVE, 1) is None


def test_invariant_4_a_foreign_epoch_deletes_nothing(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    foreign = StreamAck(Epoch(uuid.uuid4()), Lane.LIVE, 1)
    assert outbox.acknowledge(foreign) == 0
    assert outbox.held(Lane.LIVE) == ((1, 1),)


def test_invariant_4_numbers_never_given_are_not_acknowledged(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    assert outbox.acknowledge(acked(outbox, 2)) == 0
    assert outbox.held(Lane.LIVE) == ((1, 1),)


def test_invariant_5_all_files_together_stay_below_the_cap(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    dropped = []
    for n in range(0, 400, 50):
        dropped += fill(outbox, Lane.HISTORY, 50, first=n)
        assert outbox.size_bytes() <= MIN_BYTES
    assert dropped


def test_invariant_6_oldest_history_is_dropped_first_and_never_what_may_be_in_flight(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    fill(outbox, Lane.LIVE, PROTECTED + 5)
    dropped = fill(outbox, Lane.HISTORY, 400)
    assert {lane for lane, _ in dropped} == {Lane.HISTORY}
    numbers = [seq for _, seq in dropped]
    assert numbers == list(range(PROTECTED + 1, PROTECTED + 1 + len(numbers)))
    assert message(outbox, Lane.LIVE, 1).head.rows == 170


def test_invariant_6_live_is_dropped_when_there_is_no_history(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    dropped = fill(outbox, Lane.LIVE, 400)
    assert dropped[0] == (Lane.LIVE, PROTECTED + 1)


def test_invariant_6_a_dropped_batch_keeps_its_number_and_is_sent_empty(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    _, seq = fill(outbox, Lane.HISTORY, 400)[0]
    assert outbox.held(Lane.HISTORY) == ((1, 400),)
    empty = message(outbox, Lane.HISTORY, seq)
    assert (empty.head.seq, empty.head.rows, list(empty.readings())) == (seq, 0, [])
    assert empty.head.rows_before == (seq - 1) * 170


def test_invariant_7_every_drop_is_declared_and_the_ledger_balances(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    dropped = fill(outbox, Lane.HISTORY, 400)
    assert balance(outbox, 0)
    done = outbox.append(Lane.LIVE, rows(1), created_us=NOW, declare=True)
    assert done.batches == ((Lane.LIVE, 1), (Lane.LIVE, 2))
    (gap,) = message(outbox, Lane.LIVE, 2).readings()
    dropped += done.dropped
    assert gap.kind is Kind.GAP
    assert gap.physical("rows") == 170 * len(dropped)
    assert gap.physical("lane") == "history"
    assert gap.physical("reason") == "store_full"
    assert gap.physical("first_t_us") == NOW + PROTECTED * 170 * US_PER_S
    assert balance(outbox, 0)


def test_invariant_7_a_declaration_is_repeated_until_it_is_acknowledged(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    loss = Loss(7, NOW, NOW + 1, "disk_full")
    outbox.append(Lane.LIVE, (), created_us=NOW, losses=[loss])
    assert outbox.append(Lane.LIVE, (), created_us=NOW, declare=True).batches
    assert not outbox.append(Lane.LIVE, (), created_us=NOW, declare=True).batches
    assert balance(outbox, 0)
    outbox._drop(Lane.LIVE, 1, Loss(1, NOW, NOW, "store_full"))  # the carrier itself is lost
    assert balance(outbox, 0)
    outbox.append(Lane.LIVE, (), created_us=NOW, declare=True)
    gaps = {
        gap.physical("reason"): gap.physical("rows")
        for gap in message(outbox, Lane.LIVE, 2).readings()
    }
    assert gaps == {"disk_full": 7, "store_full": 1}
    outbox.acknowledge(acked(outbox, 2))
    assert outbox._value("SELECT count(*) FROM gap") == 0


def test_invariant_7_a_loss_before_the_store_counts_as_produced_and_dropped(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(3), created_us=NOW, losses=[Loss(7, NOW, NOW, "disk_full")])
    usage = outbox.usage()
    assert (usage.produced_rows, usage.dropped_rows, usage.rows) == (10, 7, 3)


def test_invariant_8_deleting_is_done_in_small_transactions(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for _ in range(120):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    begins: list[str] = []
    outbox._db.set_trace_callback(lambda sql: begins.append(sql) if "BEGIN" in sql else None)
    assert outbox.acknowledge(acked(outbox, 120)) == 120
    assert len(begins) >= 3


def test_invariant_9_a_damaged_file_is_set_aside_and_a_new_epoch_begins(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    first = open_outbox()
    epoch = first.epoch
    fill(first, Lane.LIVE, 5)
    first.close()
    path = tmp_path / FILE_NAME
    data = bytearray(path.read_bytes())
    data[4096 * 2 : 4096 * 8] = b"\xff" * (4096 * 6)
    path.write_bytes(data)
    again = open_outbox()
    assert again.epoch != epoch
    assert again.set_aside is not None
    assert again.set_aside.exists()
    again.append(Lane.LIVE, rows(1), created_us=NOW, declare=True)
    (gap,) = message(again, Lane.LIVE, 2).readings()
    assert gap.physical("reason") == "store_corrupt"


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 9])
def test_invariant_9_a_file_of_garbage_is_replaced(
    open_outbox: Callable[..., Outbox], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    outbox = open_outbox()
    assert outbox.append(Lane.LIVE, rows(1), created_us=NOW).batches == ((Lane.LIVE, 1),)


def test_invariant_10_a_row_that_cannot_be_encoded_is_refused_alone(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    poison = Reading(Kind.SAMPLE, DeviceId("meter"), TimeUs(NOW), 0, 0, ("p", 2**70))
    done = outbox.append(Lane.LIVE, [*rows(3), poison, *rows(3, start=3)], created_us=NOW)
    assert [item.row for item in done.refused] == [poison]
    stored = [row for _, seq in done.batches for row in message(outbox, Lane.LIVE, seq).readings()]
    assert len(stored) == 6
    assert balance(outbox, 0)
    assert outbox.usage().dropped_rows == 1


def test_rows_too_many_for_one_message_become_several_batches(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    content = rows(2_000, noise=True)
    done = outbox.append(Lane.LIVE, content, created_us=NOW)
    assert len(done.batches) > 1
    payloads = [outbox.read(Lane.LIVE, seq) for _, seq in done.batches]
    assert all(payload and len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
    stored = [row for payload in payloads if payload for row in decode(payload).readings()]
    assert sorted(stored, key=lambda row: row.t_us) == content


def test_a_store_of_another_gateway_is_refused_with_the_remedy(
    open_outbox: Callable[..., Outbox],
) -> None:
    open_outbox().close()
    with pytest.raises(OutboxForeign, match="Remedy: correct gateway"):
        open_outbox(gateway=GatewayId("cab-test-2"))


def test_a_directory_that_is_not_there_is_unavailable_not_fatal(tmp_path: Path) -> None:
    with pytest.raises(OutboxUnavailable):
        Outbox.open(tmp_path / "none", gateway=GATEWAY, max_bytes=MIN_BYTES, now_us=NOW)


def test_a_locked_file_is_unavailable_and_nothing_is_lost(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    outbox = open_outbox()
    outbox._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OutboxUnavailable):
            outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    finally:
        other.close()
    assert outbox.append(Lane.LIVE, rows(1), created_us=NOW).batches == ((Lane.LIVE, 1),)
