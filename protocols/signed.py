"""A document with an Ed25519 signature in front of it.

    eclor-signed-1 <what> <key id> <signature, base64>\\n
    <the document's bytes>

The signature covers the word `what`, a newline and the bytes that follow the header: a signature
of one kind of document is none of another. The key id is the beginning of the SHA-256 of the
public key. A document without the header begins with `{` and carries no signature. Nothing here
verifies: that takes a library, which the agent and the cloud each bring (docs/adr/0012).
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from protocols.documents import DocumentError

_MAGIC = b"eclor-signed-1 "
_MAX_HEADER = 512
KEY_BYTES = 32
SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, over what."""

    what: str
    key_id: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Parts:
    """The document itself, and its signature if it has one."""

    document: bytes
    signature: Signature | None


def key_id(public_key: bytes) -> str:
    """The short name of a public key (32 bytes)."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def message(what: str, document: bytes) -> bytes:
    """The bytes that are signed."""
    return what.encode() + b"\n" + document


def join(document: bytes, signature: Signature) -> bytes:
    """The document with its signature in front."""
    text = base64.b64encode(signature.signature).decode()
    header = f"{_MAGIC.decode()}{signature.what} {signature.key_id} {text}\n"
    return header.encode() + document


def split(data: bytes) -> Parts:
    """Take the header off; DocumentError where it is broken."""
    if not data.startswith(_MAGIC):
        return Parts(data, None)
    header, found, _ = data[:_MAX_HEADER].partition(b"\n")
    words = header.removeprefix(_MAGIC).split(b" ")
    if not found or len(words) != 3:
        raise DocumentError("signed document: the header is not 'what key-id signature'")
    try:
        what, key = words[0].decode("ascii"), words[1].decode("ascii")
        signature = base64.b64decode(words[2], validate=True)
    except (UnicodeDecodeError, binascii.Error) as exc:
        raise DocumentError(f"signed document: the header cannot be read: {exc}") from exc
    if len(signature) != SIGNATURE_BYTES:
        raise DocumentError(f"signed document: the signature has {len(signature)} bytes, not 64")
    return Parts(data[len(header) + 1 :], Signature(what, key, signature))
