"""What routes ask for: a database connection and the clock."""

from collections.abc import AsyncIterator
from typing import Annotated, cast

import psycopg
from fastapi import Depends, Request
from psycopg_pool import AsyncConnectionPool

from protocols.time import Clock


async def connection(request: Request) -> AsyncIterator[psycopg.AsyncConnection]:
    """An autocommit connection of the pool for the length of the route's function.

    It is back in the pool before the answer is sent: a client that reads slowly holds none.
    Writers open `conn.transaction()` themselves.
    """
    async with cast(AsyncConnectionPool, request.app.state.pool).connection() as conn:
        yield conn


async def clock(request: Request) -> Clock:
    # async, though it awaits nothing: FastAPI sends what is not to a thread, 0.3 ms each time.
    return cast(Clock, request.app.state.clock)


Connection = Annotated[psycopg.AsyncConnection, Depends(connection, scope="function")]
Now = Annotated[Clock, Depends(clock)]
