"""The socket of the API: what a connection inherits from it."""

import socket

from cloud.roles import _listening
from cloud.settings import Api
from tests.services.process import free_port


def test_the_parts_of_an_answer_do_not_wait_for_each_other() -> None:
    with (
        _listening(Api(port=free_port())) as listener,
        socket.create_connection(listener.getsockname()[:2]),
        listener.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
