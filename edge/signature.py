"""Who may give orders to the lamps: the public keys that plans must be signed with.

PyNaCl (libsodium) verifies Ed25519: 4 MiB of the agent's memory, where `cryptography` takes 9
(docs/adr/0012). A gateway without a key takes no plan, unless its settings say so.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from protocols import signed
from protocols.documents import DocumentError

PLAN = "plan"
NO_KEY = (
    "lighting.plan_key is missing, so no plan can be trusted and lamps keep to the fallback: "
    "set it to what `eclor lighting key show` prints"
)


def public_key(text: str) -> bytes:
    """A public key as `eclor lighting key` prints it; ValueError says what is allowed."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != signed.KEY_BYTES:
        raise ValueError("write the public key as `eclor lighting key show` prints it")
    return key


class PlanKeys:
    """The keys of a gateway; with none no document passes, with `unsigned` every one does."""

    def __init__(self, keys: Iterable[bytes] = (), *, unsigned: bool = False) -> None:
        self._unsigned = unsigned
        self._keys: Mapping[str, VerifyKey] = {signed.key_id(key): VerifyKey(key) for key in keys}

    def check(self, data: bytes) -> None:
        """DocumentError unless one of the keys has signed this plan."""
        if self._unsigned:
            return
        if not self._keys:
            raise DocumentError(NO_KEY)
        parts = signed.split(data)
        if parts.signature is None:
            raise DocumentError("plan: it is not signed, and this gateway has a plan_key")
        key = self._keys.get(parts.signature.key_id)
        if parts.signature.what != PLAN or key is None:
            raise DocumentError(f"plan: signed with key {parts.signature.key_id}, not one of ours")
        try:
            key.verify(signed.message(PLAN, parts.document), parts.signature.signature)
        except BadSignatureError as exc:
            raise DocumentError("plan: the signature is not of these bytes") from exc
