"""The outbox on a real small disk: full, emptied, and in use again."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from edge.outbox import Outbox, OutboxFull
from edge.outbox_file import MIN_BYTES
from protocols.ack import StreamAck
from protocols.ids import Lane
from tests.unit.test_edge_outbox import GATEWAY, NOW, balance, rows

DISK_BYTES = 3 * 1024 * 1024
"""Less than the outbox may take: the disk is full before the store is."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs; skipped, loudly, where it cannot be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = f"!!! NOT TESTED on a full disk, no tmpfs here: {done.stderr.strip()}"
        pytest.skip(reason)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def opened(place: Path) -> Outbox:
    return Outbox.open(place, gateway=GATEWAY, max_bytes=MIN_BYTES, now_us=NOW)


def test_invariant_8_a_full_disk_refuses_whole_batches_and_drains_by_itself(
    small_disk: Path,
) -> None:
    outbox = opened(small_disk)
    taken = fill_up_live(outbox)
    assert outbox._db.value("PRAGMA quick_check(1)") == "ok"
    assert outbox.last_seq(Lane.LIVE) == taken
    with (small_disk / "others").open("wb", buffering=0) as other, suppress(OSError):
        while other.write(b"x" * 4_096):  # somebody else takes what is left
            pass
    ack = StreamAck(outbox.epoch, Lane.LIVE, taken)
    assert outbox.acknowledge(ack, now_us=NOW) == taken
    assert outbox.held(Lane.LIVE) == ()
    again = outbox.append(Lane.LIVE, rows(170, noise=True), created_us=NOW)
    assert again.batches == ((Lane.LIVE, taken + 1),), "the ring made room"
    assert balance(outbox, taken * 170)
    outbox.close()


def fill_up_live(outbox: Outbox) -> int:
    """Fewer batches than are protected: nothing can be dropped for them."""
    taken = 0
    for n in range(31):
        try:
            outbox.append(Lane.LIVE, rows(170, start=n * 170, seed=n, noise=True), created_us=NOW)
        except OutboxFull:
            break
        taken += 1
    return taken


def test_invariant_8_history_on_a_full_disk_is_given_up_oldest_first_and_declared(
    small_disk: Path,
) -> None:
    outbox = opened(small_disk)
    dropped: list[tuple[Lane, int]] = []
    for n in range(200):
        content = rows(170, start=n * 170, seed=n, noise=True)
        dropped += outbox.append(Lane.HISTORY, content, created_us=NOW).dropped
    assert [seq for _, seq in dropped] == sorted(seq for _, seq in dropped)
    assert outbox.last_seq(Lane.HISTORY) == 200
    assert balance(outbox, 0)
    outbox.close()
    again = opened(small_disk)
    assert again.held(Lane.HISTORY) == ((1, 200),)
    again.close()
