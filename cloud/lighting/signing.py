"""Signing plans: the key file, and the signature in front of the document (docs/adr/0012).

The file holds the 32 bytes of an Ed25519 private key in base64, on one line, readable by its owner
alone. Without a key file plans go out unsigned, which gateways with a `plan_key` refuse.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path

from nacl.signing import SigningKey

from cloud.errors import CloudError
from protocols import signed

PLAN = "plan"


class KeyFileError(CloudError):
    """The key file cannot be used; the message says what to do."""


class PlanSigner:
    """Puts the signature of one key in front of plans; without a key it leaves them as they are."""

    def __init__(self, key: SigningKey | None = None) -> None:
        self._key = key

    @property
    def public_key(self) -> str | None:
        """What a gateway's settings need as `plan_key`."""
        return None if self._key is None else base64.b64encode(bytes(self._key.verify_key)).decode()

    @property
    def key_id(self) -> str | None:
        """The name of the key in the documents it signs; None without a key."""
        return None if self._key is None else signed.key_id(bytes(self._key.verify_key))

    def sealed(self, document: bytes) -> bytes:
        """The document as it goes to the gateway: the same bytes for the same document."""
        if self._key is None or self.key_id is None:
            return document
        proof = self._key.sign(signed.message(PLAN, document)).signature
        return signed.join(document, signed.Signature(PLAN, self.key_id, proof))


def configured(key_file: str) -> PlanSigner:
    """The signer that the settings name: an empty name is none; KeyFileError."""
    return load(Path(key_file)) if key_file else PlanSigner()


def load(path: Path) -> PlanSigner:
    """The signer of a key file; KeyFileError."""
    try:
        if path.stat().st_mode & _refused_bits(path):
            raise KeyFileError(f"{path}: others may read this private key; chmod 600 {path}")
        seed = base64.b64decode(path.read_bytes().strip(), validate=True)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        remedy = "make it with `eclor lighting key create`"
        raise KeyFileError(f"{path}: {reason}; {remedy}") from exc
    except binascii.Error:
        seed = b""
    if len(seed) != signed.KEY_BYTES:
        raise KeyFileError(f"{path}: this is not a key file of `eclor lighting key create`")
    return PlanSigner(SigningKey(seed))


def _refused_bits(path: Path) -> int:
    """The mode bits that a private key must not have.

    systemd 254 and later show a credential of a service with DynamicUser=yes as 0440 of root, with
    an access list that lets that service read it.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and path.resolve().is_relative_to(Path(credentials).resolve()):
        return 0o027
    return 0o077


def create(path: Path) -> PlanSigner:
    """Make a new key file; KeyFileError where there is one already."""
    key = SigningKey.generate()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise KeyFileError(f"{path}: {exc.strerror}; name a file that does not exist") from exc
    with os.fdopen(file, "wb") as out:
        out.write(base64.b64encode(bytes(key)) + b"\n")
    return PlanSigner(key)
