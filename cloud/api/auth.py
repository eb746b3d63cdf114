"""Authentication and scopes: `Authorization: Bearer eck_<id>_<secret>`.

A route names the scope it needs:

    @router.get("/x", dependencies=[require(Scope.READ)])
    async def read_x(...): ...

or takes the principal, to check the object too:

    async def read_y(who: Annotated[Principal, require(Scope.READ)], ...): ...

401 without a valid key, 403 without the scope. A key bound to a territory gets 404 for objects of
another one, as if they did not exist. Routes without `require` are public; tests list them.
"""

import functools
from typing import Annotated, Any

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import HTTPConnection

from cloud.api.deps import Connection, Now
from cloud.api.problems import Problem, forbidden, not_found
from cloud.keys import store
from cloud.keys.model import Principal, Scope
from protocols.time import to_datetime

__all__ = ["Principal", "Scope", "require", "require_sight"]


class _Key(HTTPBearer):
    """The header with the scheme Bearer, or Token as InfluxDB's clients write it."""

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        scheme, text = get_authorization_scheme_param(request.headers.get("Authorization"))
        if scheme.lower() not in ("bearer", "token") or not text:
            return None
        return HTTPAuthorizationCredentials(scheme=scheme, credentials=text.strip())


BEARER = _Key(
    scheme_name="key",
    bearerFormat="eck_<id>_<secret>",
    description="An API key, made by `eclor keys create`. The scope that a route needs is listed.",
    auto_error=False,
)


@functools.cache
def require(scope: Scope | str) -> Any:
    """A dependency on a valid key that holds `scope`; it yields the `Principal`."""
    needed = Scope(scope)

    async def check(
        conn: Connection,
        clock: Now,
        credentials: Annotated[
            HTTPAuthorizationCredentials | None, Security(BEARER, scopes=[needed.value])
        ],
    ) -> Principal:
        who = None
        if credentials is not None:
            now = to_datetime(clock.now_us())
            who = await store.authenticate(conn, credentials.credentials, now=now)
        if who is None:
            raise _unauthenticated(given=credentials is not None)
        if not who.may(needed):
            raise forbidden(f"this key does not hold the scope {needed.value!r}")
        return who

    return Security(check)


def require_sight(who: Principal, territory: str | None, *, what: str, name: str) -> None:
    """404 unless the object exists (its `territory` is known) and the key may see it."""
    if territory is None or not who.sees(territory):
        raise not_found(what, name)


def _unauthenticated(*, given: bool) -> Problem:
    detail = (
        "the key is unknown, expired or revoked"
        if given
        else "this needs a key: send 'Authorization: Bearer eck_...'"
    )
    error = ' error="invalid_token"' if given else ""
    challenge = f'Bearer realm="eclor"{error and ","}{error}'
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": challenge})
