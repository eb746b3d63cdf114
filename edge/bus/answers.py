"""How a question ends: with a reply that fits it, or with what is wrong."""

import asyncio

from edge.bus import pdu
from edge.errors import EdgeError, ReplyMalformed, exception_reply

Answer = asyncio.Future[bytes]


def settle(answer: Answer, unit: int, request: bytes, reply: bytes) -> None:
    """End a question with `reply`, or with what is wrong with it."""
    problem = pdu.misfit(request, reply)
    code = pdu.exception_code(reply)
    if problem:
        fail(answer, ReplyMalformed(unit, problem))
    elif code is not None:
        fail(answer, exception_reply(unit, code))
    elif not answer.done():
        answer.set_result(reply)


def fail(answer: Answer, error: EdgeError) -> None:
    """End a question without a reply, unless it has ended."""
    if not answer.done():
        answer.set_exception(error)


def failed(error: EdgeError) -> Answer:
    """The answer to a question that could not be asked."""
    answer: Answer = asyncio.get_running_loop().create_future()
    answer.set_exception(error)
    return answer
