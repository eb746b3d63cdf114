"""One test or more for each numbered invariant of `edge.outbox`."""

import random
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.batching import Loss
from edge.outbox import (
    FILE_NAME,
    PROTECTED,
    Outbox,
    OutboxForeign,
    OutboxUnavailable,
    RingRule,
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

    def open_(
        *,
        max_bytes: int = MIN_BYTES,
        gateway: GatewayId = GATEWAY,
        ring: RingRule = RingRule(),  # noqa: B008 - frozen
        protected: int = PROTECTED,
    ) -> Outbox:
        outbox = Outbox.open(
            tmp_path,
            gateway=gateway,
            max_bytes=max_bytes,
            now_us=NOW,
            ring=ring,
            protected=protected,
        )
        opened.append(outbox)
        return outbox

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
    return (
        usage.acknowledged_rows == acknowledged_rows
        and usage.produced_rows == acknowledged_rows + usage.rows + usage.dropped_rows
    )


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
    assert outbox.acknowledge(acked(outbox, 1), now_us=NOW) == 1
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
    assert outbox._db.value("PRAGMA journal_mode") == "wal"
    assert outbox._db.value("PRAGMA synchronous") == 2  # FULL
    assert outbox._db.value("PRAGMA wal_autocheckpoint") == 32


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


def test_invariant_4_an_acknowledgement_takes_watermark_and_ranges_only(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for _ in range(6):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    ack = StreamAck(outbox.epoch, Lane.LIVE, 2, ranges=((4, 4), (6, 6)))
    assert outbox.acknowledge(ack, now_us=NOW) == 4
    assert outbox.held(Lane.LIVE) == ((3, 3), (5, 5))
    assert outbox.acknowledge(ack, now_us=NOW) == 0


def test_invariant_4_an_older_acknowledgement_takes_nothing_back(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for _ in range(4):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    outbox.acknowledge(acked(outbox, 3), now_us=NOW)
    assert outbox.acknowledge(acked(outbox, 1), now_us=NOW) == 0
    assert outbox.held(Lane.LIVE) == ((4, 4),)


def test_invariant_4_a_foreign_epoch_deletes_nothing(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    foreign = StreamAck(Epoch(uuid.uuid4()), Lane.LIVE, 1)
    assert outbox.acknowledge(foreign, now_us=NOW) == 0
    assert outbox.held(Lane.LIVE) == ((1, 1),)


def test_invariant_4_numbers_never_given_are_not_acknowledged(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    assert outbox.acknowledge(acked(outbox, 2), now_us=NOW) == 0
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
    outbox = open_outbox(protected=1)
    loss = Loss(7, NOW, NOW + 1, "disk_full")
    outbox.append(Lane.LIVE, rows(1), created_us=NOW, losses=[loss])
    assert outbox.append(Lane.LIVE, (), created_us=NOW, declare=True).batches
    assert not outbox.append(Lane.LIVE, (), created_us=NOW, declare=True).batches
    assert balance(outbox, 0)
    assert outbox._room.make(1).dropped == ((Lane.LIVE, 2),)  # the carrier itself is lost
    assert balance(outbox, 0)
    outbox.append(Lane.LIVE, (), created_us=NOW, declare=True)
    gaps = {
        gap.physical("reason"): gap.physical("rows")
        for gap in message(outbox, Lane.LIVE, 3).readings()
    }
    assert gaps == {"disk_full": 7, "store_full": 1}
    outbox.acknowledge(acked(outbox, 3), now_us=NOW)
    assert outbox._db.value("SELECT count(*) FROM gap") == 0


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
    outbox._db.trace(lambda sql: begins.append(sql) if "BEGIN" in sql else None)
    assert outbox.acknowledge(acked(outbox, 120), now_us=NOW) == 120
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


@pytest.mark.parametrize("damaged", [False, True])
def test_invariant_9_a_loss_is_declared_although_the_new_store_could_not_be_made_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, damaged: bool
) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"no database at all, but long enough to be one" * 9)

    def attempt() -> Outbox:
        return Outbox.open(
            tmp_path, gateway=GATEWAY, max_bytes=MIN_BYTES, now_us=NOW, damaged=damaged
        )

    def full_disk(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("edge.outbox_open._prepare", full_disk)
        for _ in range(2):
            with pytest.raises(OutboxUnavailable):
                attempt()
    outbox = attempt()
    assert outbox.set_aside is not None
    assert outbox.set_aside.read_bytes().startswith(b"no database at all")
    outbox.append(Lane.LIVE, rows(1), created_us=NOW, declare=True)
    (gap,) = message(outbox, Lane.LIVE, 2).readings()
    assert gap.physical("reason") == "store_corrupt"
    outbox.close()


class Killed(BaseException):
    """The process is gone at this very moment."""


@pytest.mark.parametrize("moment", ["_note_set_aside", "declared"])
def test_invariant_9_a_kill_between_rename_and_note_leaves_one_loss_to_declare(
    open_outbox: Callable[..., Outbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database at all, but long enough to be one" * 9)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"edge.outbox.{'Outbox.' if moment.startswith('_') else ''}{moment}", killed)
        with pytest.raises(Killed):
            open_outbox()
    open_outbox().close()
    again = open_outbox()
    again.append(Lane.LIVE, rows(1), created_us=NOW, declare=True)
    (gap,) = message(again, Lane.LIVE, 2).readings()
    assert gap.physical("reason") == "store_corrupt"
    assert sorted(path.name for path in tmp_path.glob("*.corrupt-*")) == [
        f"{FILE_NAME}.corrupt-{NOW}"
    ]
    assert not list(tmp_path.glob("*.set-aside"))


def test_invariant_9_a_kill_before_the_rename_declares_nothing(
    open_outbox: Callable[..., Outbox], tmp_path: Path
) -> None:
    open_outbox().close()
    (tmp_path / f"{FILE_NAME}.set-aside").write_text(f"{FILE_NAME}.corrupt-{NOW}", encoding="utf-8")
    outbox = open_outbox()
    assert outbox.set_aside is None
    outbox.append(Lane.LIVE, rows(1), created_us=NOW, declare=True)
    assert outbox.last_seq(Lane.LIVE) == 1
    assert not list(tmp_path.glob("*.set-aside"))


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be one" * 9])
def test_invariant_9_a_file_of_garbage_is_replaced(
    open_outbox: Callable[..., Outbox], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    outbox = open_outbox()
    assert outbox.append(Lane.LIVE, rows(1), created_us=NOW).batches == ((Lane.LIVE, 1),)


@pytest.mark.parametrize(("window_s", "value"), [(0, 2**70), (86_401, 1), (-1, 1)])
def test_invariant_10_a_row_that_cannot_be_encoded_is_refused_alone(
    open_outbox: Callable[..., Outbox], window_s: int, value: int
) -> None:
    outbox = open_outbox()
    (good,) = rows(1)
    poison = replace(good, window_s=window_s, values=("p", value, *good.values[2:]))
    done = outbox.append(Lane.LIVE, [*rows(3), poison, *rows(3, start=3)], created_us=NOW)
    assert [item.row for item in done.refused] == [poison]
    stored = [row for _, seq in done.batches for row in message(outbox, Lane.LIVE, seq).readings()]
    assert len(stored) == 6
    assert balance(outbox, 0)
    assert outbox.usage().dropped_rows == 1


def day(outbox: Outbox, batches: int, *, first: int = 0, devices: int = 20) -> None:
    """History as an outage makes it: a batch a minute, a row for each of `devices` lamps."""
    chance = random.Random(first)
    for minute in range(first, first + batches):
        content = [
            reading(
                Kind.LIGHT,
                DeviceId(f"lamp-{n:03}"),
                TimeUs(NOW + minute * 60 * US_PER_S),
                window_s=60,
                level_pct=chance.uniform(0, 100),
                power_w=chance.uniform(0, 100),
                energy_wh=chance.getrandbits(40),
            )
            for n in range(devices)
        ]
        outbox.append(Lane.HISTORY, content, created_us=NOW)


def acknowledge_all(outbox: Outbox, lane: Lane, *, now_us: int = NOW) -> None:
    outbox.acknowledge(acked(outbox, outbox.last_seq(lane), lane), now_us=now_us)


def test_invariant_11_an_acknowledged_batch_stays_and_counts_for_nothing(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(3), created_us=NOW)
    before = outbox.read(Lane.LIVE, 1)
    acknowledge_all(outbox, Lane.LIVE)
    usage = outbox.usage()
    assert (usage.batches, usage.rows, usage.waiting_bytes, usage.dropped_rows) == (0, 0, 0, 0)
    assert (usage.ring_batches, usage.acknowledged_rows) == (1, 3)
    assert outbox.held(Lane.LIVE) == ()
    assert outbox.read(Lane.LIVE, 1) == before


def test_invariant_11_the_ring_goes_first_and_nothing_is_dropped_for_it(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    dropped = []
    for n in range(0, 800, 50):
        dropped += fill(outbox, Lane.LIVE, 50, first=n)
        acknowledge_all(outbox, Lane.LIVE)
        assert outbox.size_bytes() <= MIN_BYTES
    assert not dropped
    usage = outbox.usage()
    assert 0 < usage.ring_bytes <= MIN_BYTES // 2
    assert balance(outbox, 800 * 170)
    full = fill(outbox, Lane.LIVE, 200, first=800)
    assert not full, "waiting batches displace the ring"
    assert outbox.usage().ring_bytes < usage.ring_bytes


def test_invariant_11_the_ring_is_bounded_in_age_and_bytes(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox(ring=RingRule(max_bytes=100_000, max_age_s=60))
    fill(outbox, Lane.LIVE, 100)
    acknowledge_all(outbox, Lane.LIVE)
    assert 0 < outbox.usage().ring_bytes <= 100_000
    for n in range(60):
        outbox.append(Lane.HISTORY, rows(1), created_us=NOW)
        acknowledge_all(outbox, Lane.HISTORY, now_us=NOW + (120 if n else 0) * US_PER_S)
    assert outbox.usage().ring_batches < 100


def test_invariant_11_a_ring_of_no_age_keeps_nothing(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox(ring=RingRule(max_age_s=0))
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    acknowledge_all(outbox, Lane.LIVE)
    assert outbox.read(Lane.LIVE, 1) is None
    assert outbox.usage().ring_batches == 0


def test_invariant_12_what_a_restored_database_lacks_waits_again_with_the_same_bytes(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    for _ in range(9):
        outbox.append(Lane.LIVE, rows(2), created_us=NOW)
    sent = [outbox.read(Lane.LIVE, seq) for seq in range(1, 10)]
    outbox.acknowledge(acked(outbox, 8), now_us=NOW)
    restored = StreamAck(outbox.epoch, Lane.LIVE, 2, ranges=((5, 5),), rewind_to=3)
    assert outbox.rewind(restored, now_us=NOW) == ((3, 4), (6, 8))
    assert outbox.held(Lane.LIVE) == ((3, 4), (6, 9))
    assert [outbox.read(Lane.LIVE, seq) for seq in range(1, 10)] == sent
    assert balance(outbox, 3 * 2)
    assert outbox.rewind(restored, now_us=NOW) == ()
    outbox.acknowledge(acked(outbox, 9), now_us=NOW)
    assert balance(outbox, 9 * 2)


def test_invariant_12_what_waits_again_is_never_dropped(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox(protected=4)
    fill(outbox, Lane.LIVE, 100)
    acknowledge_all(outbox, Lane.LIVE)
    again = outbox.rewind(StreamAck(outbox.epoch, Lane.LIVE, 0, rewind_to=1), now_us=NOW)
    assert again == ((1, 100),)
    dropped = fill(outbox, Lane.LIVE, 400, first=100)
    assert dropped[0] == (Lane.LIVE, 105), "the four after them may be in flight"
    assert outbox.usage().batches == 500 - len(dropped)


def test_invariant_12_what_is_asked_for_and_gone_is_declared_once(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox(ring=RingRule(max_age_s=0))
    for _ in range(4):
        outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    outbox.acknowledge(acked(outbox, 3), now_us=NOW)
    restored = StreamAck(outbox.epoch, Lane.LIVE, 1, rewind_to=2)
    assert outbox.rewind(restored, now_us=NOW) == ()
    assert outbox.rewind(restored, now_us=NOW) == ()
    outbox.append(Lane.LIVE, (), created_us=NOW, declare=True)
    [gap] = message(outbox, Lane.LIVE, 5).readings()
    assert (gap.physical("reason"), gap.physical("rows")) == ("ring_expired", 0)
    assert not outbox.append(Lane.LIVE, (), created_us=NOW, declare=True).batches


def test_invariant_12_a_rewind_of_another_epoch_changes_nothing(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    outbox.append(Lane.LIVE, rows(1), created_us=NOW)
    acknowledge_all(outbox, Lane.LIVE)
    foreign = StreamAck(Epoch(uuid.uuid4()), Lane.LIVE, 0, rewind_to=1)
    assert outbox.rewind(foreign, now_us=NOW) == ()
    assert outbox.held(Lane.LIVE) == ()


def history_rows(outbox: Outbox) -> list[Reading]:
    [(first, last)] = outbox.held(Lane.HISTORY)
    return [
        row
        for seq in range(first, last + 1)
        for row in message(outbox, Lane.HISTORY, seq).readings()
    ]


def test_invariant_13_history_is_thinned_before_it_is_dropped_and_numbers_stay(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox(protected=4)
    day(outbox, 100)
    made = outbox._room.make(1)
    assert made.thinned_rows == 50 * 20 - 4 * 20, "minutes 4 to 53 touch four quarter hours"
    assert not made.dropped
    assert made.freed_bytes > 0
    assert outbox.held(Lane.HISTORY) == ((1, 100),)
    heads = [message(outbox, Lane.HISTORY, seq).head for seq in range(1, 101)]
    assert [head.rows_before for head in heads] == [20 * n for n in range(100)]
    assert [head.rows for head in heads[:4]] == [20] * 4, "these may be in flight"
    assert balance(outbox, 0)
    content = history_rows(outbox)
    assert len({(row.device, row.t_us) for row in content}) == len(content)
    lamp = [row for row in content if row.device == "lamp-000"]
    assert sum(row.window_s for row in lamp) == 100 * 60, "all of the time is covered"
    outbox.append(Lane.LIVE, (), created_us=NOW, declare=True)
    [gap] = message(outbox, Lane.LIVE, 1).readings()
    assert (gap.physical("reason"), gap.physical("rows")) == ("thinned", made.thinned_rows)


def test_invariant_13_no_batch_is_thinned_twice(open_outbox: Callable[..., Outbox]) -> None:
    outbox = open_outbox(protected=4)
    day(outbox, 54)
    first = outbox._room.make(1)
    second = outbox._room.make(1)
    assert (first.thinned_rows > 0, bool(first.dropped)) == (True, False)
    assert (second.thinned_rows, bool(second.dropped)) == (0, True)
    assert balance(outbox, 0)


def test_invariant_13_a_full_store_keeps_a_coarser_view_of_a_long_outage(
    open_outbox: Callable[..., Outbox],
) -> None:
    outbox = open_outbox()
    day(outbox, 3_000, devices=120)
    usage = outbox.usage()
    assert outbox.size_bytes() <= MIN_BYTES
    assert balance(outbox, 0)
    assert usage.dropped_rows > 0
    assert not outbox._db.rows("SELECT 1 FROM gap WHERE reason = 'store_full'")


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
