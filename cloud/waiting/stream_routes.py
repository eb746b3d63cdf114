"""The wait at one recycling centre as a stream of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import StreamingResponse

from cloud.api.deps import Connection, Now
from cloud.api.problems import Problem, openapi_responses
from cloud.waiting import store
from cloud.waiting.feed import WaitFeed
from cloud.waiting.lookup import find

router = APIRouter(tags=["waiting"])

FacilityName = Annotated[str, Path(max_length=122, examples=["recyclerie-nord"])]


class EventStream(StreamingResponse):
    """text/event-stream, for the OpenAPI document."""

    media_type = "text/event-stream"


@router.get(
    "/facilities/{facility}/wait/stream",
    response_class=EventStream,
    responses=openapi_responses(404, 409, 429),
)
async def stream_wait(
    request: Request,
    facility: FacilityName,
    conn: Connection,
    clock: Now,
    last_event_id: Annotated[
        str | None, Header(max_length=64, description="Of the last event that was received")
    ] = None,
) -> Response:
    """Each change of the wait at one facility as an event `wait`; public.

    `data` is what `/wait` answers. Clients are bounded (`[api] streams_max`).
    """
    one = find(await store.facilities(conn), facility)
    feed = feed_of(request, clock)
    if feed.full:
        detail = "as many clients listen as may; ask /wait instead, every 30 seconds"
        raise Problem(429, "too-many-streams", detail, headers={"Retry-After": "30"})
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EventStream(_events(feed, one.facility_id, last_event_id), headers=headers)


def feed_of(request: Request, clock: Now) -> WaitFeed:
    """One feed an application; it lives as long as the pool it reads from."""
    state = request.app.state
    if state.wait_feed is None:
        state.wait_feed = WaitFeed(state.pool, clock, most=state.settings.api.streams_max)
    found: WaitFeed = state.wait_feed
    return found


async def _events(feed: WaitFeed, facility_id: int, last_id: str | None) -> AsyncIterator[bytes]:
    if feed.full:  # others came in between
        return
    async with feed.listening():
        async for event in feed.events(facility_id, last_id):
            yield event
