"""The public page at /: server-rendered, complete without JavaScript, no third-party request."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cloud.portal.snapshot import Snapshot, Snapshots
from cloud.portal.texts import Language, Texts
from cloud.portal.view import page
from cloud.waiting.messages import Message

router = APIRouter(include_in_schema=False)

HERE = Path(__file__).parent
DEFAULT_ZONE = "Europe/Paris"
PAGE_CACHE = "public, max-age=5"
FILE_CACHE = f"public, max-age={int(timedelta(days=365).total_seconds())}, immutable"
MEDIA_TYPES = {
    "portal.css": "text/css",
    "portal.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

LanguageParameter = Annotated[str, Query(alias="lang", max_length=35)]


@router.api_route("/", methods=["GET", "HEAD"])
async def read_page(request: Request, language: LanguageParameter = "fr") -> Response:
    """The page in French, German or English; in French for any other language."""
    return await _answer(request, "page.html", _language(language))


@router.get("/live")
async def read_live(request: Request, language: LanguageParameter = "fr") -> Response:
    """The changing part of the page, for its own script."""
    return await _answer(request, "live.html", _language(language))


@router.get("/static/{digest}/{name}")
async def read_file(digest: str, name: str) -> Response:
    """A style, script or picture; its address changes with its content."""
    if name not in MEDIA_TYPES or digest != _digest(name):
        return Response(status_code=404)
    headers = {"Cache-Control": FILE_CACHE, "X-Content-Type-Options": "nosniff"}
    return Response(_content(name), media_type=MEDIA_TYPES[name], headers=headers)


async def _answer(request: Request, template: str, language: Language) -> Response:
    snapshot = await _snapshots(request).get()
    body = (
        _environment()
        .get_template(template)
        .render(
            page=page(snapshot, _texts(snapshot, language)),
            t=_texts(snapshot, language),
            languages=tuple(Language),
            static=_static,
            unknown=Message("unknown").text(language.value),
        )
    )
    etag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    headers = {**HEADERS, "ETag": etag, "Cache-Control": PAGE_CACHE}
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    headers["Content-Language"] = language.value
    return Response(body, media_type="text/html; charset=utf-8", headers=headers)


def _language(asked: str) -> Language:
    return Language(asked) if asked in set(Language) else Language.FR


def _snapshots(request: Request) -> Snapshots:
    """One cache an application; it lives as long as the pool it reads from."""
    state = request.app.state
    if not hasattr(state, "portal_snapshots"):
        state.portal_snapshots = Snapshots(state.pool, state.clock)
    found: Snapshots = state.portal_snapshots
    return found


def _texts(snapshot: Snapshot, language: Language) -> Texts:
    """Times of the page are those of the first territory."""
    zone = snapshot.territories[0].time_zone if snapshot.territories else DEFAULT_ZONE
    return Texts(language, ZoneInfo(zone))


def _static(name: str) -> str:
    return f"/static/{_digest(name)}/{name}"


@lru_cache(maxsize=8)
def _content(name: str) -> bytes:
    return (HERE / "static" / name).read_bytes()


def _digest(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:12]


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
