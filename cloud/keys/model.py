"""API keys as values: `eck_<id>_<secret>`.

The secret is 32 random bytes (base64url), so that one SHA-256 is enough at rest: there is nothing
to guess. The id is public: it finds the row and names the actor in the audit record.
"""

import base64
import enum
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

_KEY = re.compile(r"eck_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Scope(enum.StrEnum):
    """What a key may do. `admin` holds every scope; provision, lighting and waiting also read."""

    READ = "read"
    INGEST = "ingest"
    PROVISION = "provision"
    LIGHTING = "lighting"
    WAITING = "waiting"
    ADMIN = "admin"


_HELD = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.INGEST: frozenset({Scope.INGEST}),
    Scope.PROVISION: frozenset({Scope.PROVISION, Scope.READ}),
    Scope.LIGHTING: frozenset({Scope.LIGHTING, Scope.READ}),
    Scope.WAITING: frozenset({Scope.WAITING, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a key that was found valid.

    `territory` is None for a key that may see every territory.
    """

    key_id: str
    name: str
    scopes: frozenset[Scope]
    territory: str | None

    @property
    def actor(self) -> str:
        return f"key:{self.key_id}"

    def may(self, scope: Scope) -> bool:
        return any(scope in _HELD[held] for held in self.scopes)

    def sees(self, territory: str) -> bool:
        return self.territory is None or self.territory == territory


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database knows it; the secret is not there."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    territory: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def valid_at(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment at which its text exists."""

    key_id: str
    text: str
    secret_sha256: bytes

    def __repr__(self) -> str:
        return f"NewKey({self.key_id})"  # never the secret, also in a log or a traceback


def new_key() -> NewKey:
    """Make a key from the system's random source."""
    key_id = secrets.token_hex(6)
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return NewKey(key_id, f"eck_{key_id}_{secret}", digest(secret))


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def split(text: str) -> tuple[str, str] | None:
    """Id and secret of a key's text; None if it is not the text of a key."""
    match = _KEY.fullmatch(text)
    return (match[1], match[2]) if match else None


def matches(secret: str, secret_sha256: bytes | None) -> bool:
    """Compare in constant time; an unknown id (None) takes as long as a wrong secret."""
    return hmac.compare_digest(digest(secret), secret_sha256 or bytes(32))


def parse_scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    """Scopes by name, in a fixed order; ValueError names an unknown one."""
    wanted = set(names)
    unknown = sorted(wanted - set(Scope))
    if unknown or not wanted:
        known = ", ".join(Scope)
        raise ValueError(f"scope {', '.join(unknown) or '(none)'} is unknown; use {known}")
    return tuple(scope for scope in Scope if scope in wanted)
