"""The error and the parsing rule of every JSON document that crosses a border (ack, plan)."""

from typing import TypeVar

import msgspec

_T = TypeVar("_T")


class DocumentError(ValueError):
    """A document that cannot be trusted: not JSON, a field missing, unknown or out of range.

    The message names the document, the field (JSON path) and the fault.
    """


def parse(data: bytes, form: type[_T], *, document: str, max_bytes: int) -> _T:
    """Parse `data` into the msgspec struct `form`; refuse what is too long or does not fit."""
    if len(data) > max_bytes:
        raise DocumentError(f"{document}: {len(data)} bytes, more than the {max_bytes} allowed")
    try:
        return msgspec.json.decode(data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:  # a name may be no UTF-8
        raise DocumentError(f"{document}: {exc}") from exc
