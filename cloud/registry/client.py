"""The registry over HTTP, for commands: one call a step, and faults that a person can act on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from cloud.api.faults import Fault
from cloud.registry.model import WORDS

CHUNK_BYTES = 65_536
TIMEOUT_S = 10.0
IMPORT_TIMEOUT_S = 300.0
STREAM_TIMEOUT_S = 60.0
"""Between two pieces of an answer of any length."""
PAGE = 1_000

PATHS: Mapping[str, str] = {
    "territories": "/territories/{}",
    "sites": "/territories/{}/sites/{}",
    "gateways": "/gateways/{}",
    "devices": "/gateways/{}/devices/{}",
    "groups": "/territories/{}/groups/{}",
    "facilities": "/territories/{}/sites/{}/facilities/{}",
}
FORMS: Mapping[str, str] = {
    "territories": "TERRITORY",
    "sites": "TERRITORY/SITE",
    "gateways": "GATEWAY",
    "devices": "GATEWAY/DEVICE",
    "groups": "TERRITORY/GROUP",
    "facilities": "TERRITORY/SITE/FACILITY",
}
"""How an object of each section is named."""


class ApiError(Exception):
    """The API said no, or said nothing; the message says what to do.

    `status` is None where no answer came; `faults` lists what is wrong with a request (422).
    """

    def __init__(
        self, message: str, *, status: int | None = None, faults: tuple[Fault, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.faults = faults


class MisnamedError(ValueError):
    """A name that has not the parts that its section wants."""


def path_of(section: str, name: str) -> str:
    """The path of an object by its name, as `GATEWAY/DEVICE`."""
    parts = name.split("/")
    if len(parts) != FORMS[section].count("/") + 1 or not all(parts):
        raise MisnamedError(f"a {WORDS[section]} is named {FORMS[section]}, not {name!r}")
    return PATHS[section].format(*parts)


class RegistryClient:
    """A connection to the API at `url` with the text of a key (None: public routes only)."""

    def __init__(self, url: str, key: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(
            base_url=f"{self._url}/api/v1", headers=headers, timeout=timeout_s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def read(self, path: str) -> dict[str, Any]:
        """One object."""
        return self._object(self._send("GET", path))

    def text(self, path: str) -> str:
        return self._send("GET", path).text

    def pages(self, path: str, **params: str | None) -> Iterator[dict[str, Any]]:
        """Every record of a listing."""
        given: dict[str, str | int] = {k: v for k, v in params.items() if v is not None}
        given["limit"] = PAGE
        while True:
            page = self._object(self._send("GET", path, params=given))
            yield from page["items"]
            if page["next"] is None:
                return
            given["cursor"] = page["next"]

    def put(self, path: str, record: Mapping[str, Any], *, replace: bool) -> dict[str, Any]:
        """Make an object; an existing one is replaced only if `replace` says so."""
        headers = {} if replace else {"If-None-Match": "*"}
        return self._object(self._send("PUT", path, json=dict(record), headers=headers))

    def post(self, path: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Add an object, whose name or number the API gives."""
        return self._object(self._send("POST", path, json=dict(record)))

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    @contextmanager
    def download(
        self, path: str, params: Mapping[str, str | Sequence[str] | None]
    ) -> Iterator[httpx.Response]:
        """An answer of any length, for `iter_bytes`; ApiError also where it is cut off."""
        given = {name: value for name, value in params.items() if value is not None}
        try:
            with self._http.stream("GET", path, params=given, timeout=STREAM_TIMEOUT_S) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _error(answer)
                yield answer
        except httpx.RemoteProtocolError as exc:
            remedy = "ask again, or for less; the log of the API says why (export_cut_off)"
            raise ApiError(f"the answer of {self._url} was cut off: {remedy}") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._no_answer(exc) from exc

    def import_document(self, chunks: Iterator[bytes], *, dry_run: bool) -> dict[str, Any]:
        """Send a document, as `encode_document` made it."""
        answer = self._send(
            "POST",
            "/registry",
            params={"dry_run": str(dry_run).lower()},
            content=chunks,
            headers={"Content-Type": "application/json"},
            timeout=IMPORT_TIMEOUT_S,
        )
        return self._object(answer)

    def export_document(self, territory: str | None) -> dict[str, Any]:
        params = {} if territory is None else {"territory": territory}
        return self._object(self._send("GET", "/registry", params=params))

    def _object(self, answer: httpx.Response) -> dict[str, Any]:
        found = msgspec.json.decode(answer.content)
        assert isinstance(found, dict)
        return found

    def _send(self, method: str, path: str, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._no_answer(exc) from exc
        if answer.is_success:
            return answer
        raise _error(answer)

    def _no_answer(self, exc: Exception) -> ApiError:
        remedy = "check that `eclor cloud api` runs there, and ECLOR_API_URL"
        return ApiError(f"no answer from {self._url}: {str(exc) or type(exc).__name__}; {remedy}")


def encode_document(document: Mapping[str, Any]) -> list[bytes]:
    """A document as JSON, in pieces, so that sending it can show how far it is."""
    body = msgspec.json.encode(document)
    return [body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES)]


def _error(answer: httpx.Response) -> ApiError:
    """The problem document of an answer, in words."""
    try:
        problem = msgspec.json.decode(answer.content)
        detail = str(problem["detail"])
        faults = tuple(Fault(**fault) for fault in problem.get("errors", ()))
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        detail = "this is not the API of Eclor; check ECLOR_API_URL"
        faults = ()
    remedies = {
        401: "set ECLOR_API_KEY or --api-key-file",
        403: "use a key with that right",
        412: "use --replace to change it",
    }
    remedy = remedies.get(answer.status_code)
    message = f"{detail} (HTTP {answer.status_code})" + (f"; {remedy}" if remedy else "")
    return ApiError(message, status=answer.status_code, faults=faults)
