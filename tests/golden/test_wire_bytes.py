"""The wire format against bytes written by hand from `wire.proto`."""

import uuid
import zlib

import zstandard

from protocols.batch import Stream, reading
from protocols.ids import DeviceId, Epoch, GatewayId, Lane
from protocols.quantities import Kind
from protocols.time import TimeUs
from protocols.wire import decode, encode

EPOCH = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
STREAM = Stream(GatewayId("cab-1"), Epoch(EPOCH), Lane.LIVE)

# Two rows of lamp "a": level 50.0 %, then 49.8 %, at 60 s and 120 s after the epoch.
# Block { kind: 1, devices: "a", device_rows: 2, t_us {start 60e6, step 60e6, delta 0 1},
#         window_s {start 60, step 1}, quality {step 1},
#         level_pct {start 500, step 2, delta 0 -1}, eleven empty columns {runs 0 2} }
BLOCK = bytes.fromhex(
    "08 01"  # kind = 1
    "12 01 61"  # devices: "a"
    "1a 01 02"  # device_rows: 2
    "22 0e 08 80 9c 9c 39 10 80 8e ce 1c 1a 02 00 02"  # t_us
    "2a 04 08 78 10 01"  # window_s: start zigzag(60) = 120
    "32 02 10 01"  # quality: start 0, step 1
    "3a 09 08 e8 07 10 02 1a 02 00 01"  # level_pct: zigzag(500) = 1000, delta zigzag(-1) = 1
    + "3a 04 22 02 00 02"
    * 11
)
BODY = b"\x0a" + bytes([len(BLOCK)]) + BLOCK
OLDER = BLOCK[: -5 * 6]  # from a gateway that does not know the last five columns
OLDER_BODY = b"\x0a" + bytes([len(OLDER)]) + OLDER


def message(body: bytes) -> bytes:
    identity = f"cab-1|{EPOCH.hex}|1|300|1000000|7|2|".encode()
    crc = zlib.crc32(body, zlib.crc32(identity)).to_bytes(4, "little")
    return (
        bytes.fromhex("08 01 12 05")
        + b"cab-1"
        + bytes.fromhex("1a 10")
        + EPOCH.bytes
        + bytes.fromhex("20 01 28 ac 02 30 c0 84 3d 38 07 40 02 4d")
        + crc
        + b"\x52"
        + bytes([len(body)])
        + body
    )


def test_a_hand_written_message_is_read() -> None:
    batch = decode(message(zstandard.ZstdCompressor().compress(BODY)))
    assert batch.head.stream == STREAM
    assert (batch.head.seq, batch.head.rows_before, batch.head.created_us) == (300, 7, 1_000_000)
    assert [(row.device, row.t_us, row.physical("level_pct")) for row in batch.readings()] == [
        ("a", 60_000_000, 50.0),
        ("a", 120_000_000, 49.8),
    ]


def test_a_message_of_an_older_gateway_lacks_the_columns_it_does_not_know() -> None:
    rows = list(decode(message(zstandard.ZstdCompressor().compress(OLDER_BODY))).readings())
    assert [row.physical("level_pct") for row in rows] == [50.0, 49.8]
    assert [row.physical("coverage_pct") for row in rows] == [None, None]


def test_our_message_is_the_hand_written_one() -> None:
    rows = [
        reading(Kind.LIGHT, DeviceId("a"), TimeUs(t_us), window_s=60, level_pct=level)
        for t_us, level in ((120_000_000, 49.8), (60_000_000, 50.0))
    ]
    payload = encode(STREAM, 300, rows, created_us=1_000_000, rows_before=7)
    body = payload[payload.index(b"\x28\xb5\x2f\xfd") :]  # zstd magic number
    assert zstandard.ZstdDecompressor().decompress(body) == BODY
    assert payload == message(body)
