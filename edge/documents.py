"""Documents of the outbox: JSON that an earlier run wrote; what cannot be read counts as absent.

A damaged page can show as bytes that are no text: to begin anew is better than not to start.
"""

import json
from typing import Any


def mapping(document: bytes | None) -> dict[str, Any]:
    """The JSON object of `document`; empty where there is none."""
    value = _value(document)
    return value if isinstance(value, dict) else {}


def whole_number(document: bytes | None) -> int:
    """The integer of `document`; 0 where there is none."""
    value = _value(document)
    return value if isinstance(value, int) else 0


def _value(document: bytes | None) -> object:
    try:
        return json.loads(document or b"null")
    except ValueError:
        return None
