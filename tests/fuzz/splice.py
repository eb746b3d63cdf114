"""Bytes that are right nearly everywhere: they get deeper into a decoder than noise."""


def spliced(good: bytes, data: bytes) -> bytes:
    """`good` with some of its bytes replaced: where and how many, `data` says first."""
    if len(data) < 3:
        return good
    place = int.from_bytes(data[:2], "big") % (len(good) + 1)
    return good[:place] + data[3:] + good[place + data[2] :]
