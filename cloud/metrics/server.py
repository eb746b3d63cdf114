"""`/metrics`, `/healthz` and `/readyz` of a role, on a port of their own.

The library that counts is synchronous and so is this server: it has a thread, so that a role whose
loop hangs still says so. One request at a time, answered within a few milliseconds.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST

from cloud.errors import AddressTaken
from cloud.metrics.registry import Metrics

_IDLE_S = 5.0  # a scraper that connects and says nothing holds the others up no longer


@contextmanager
def serving(metrics: Metrics, host: str, port: int) -> Iterator[int]:
    """Serve until the context ends; yields the port. Port 0: nothing is served."""
    if not port:
        yield 0
        return
    try:
        server = HTTPServer((host, port), _handler(metrics))
    except OSError as exc:
        raise AddressTaken(
            f"metrics cannot be served on {host}:{port}: {os.strerror(exc.errno or 0)}; stop the "
            "program that does, or choose another [metrics] port (0: none)"
        ) from exc
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(metrics: Metrics) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _IDLE_S
        server_version = "eclor"
        sys_version = ""

        def do_GET(self) -> None:
            match self.path:
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, metrics.text())
                case "/healthz":
                    self._answer(204, None, b"")
                case "/readyz":
                    ready, body = readiness(metrics)
                    self._answer(200 if ready else 503, "application/json", body)
                case _:
                    self._answer(404, "text/plain", b"try /metrics, /healthz or /readyz\n")

        def _answer(self, status: int, media_type: str | None, body: bytes) -> None:
            self.send_response(status)
            if media_type:
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            return

    return Handler


def readiness(metrics: Metrics) -> tuple[bool, bytes]:
    """Whether the role is ready, and what is missing, as JSON."""
    faults = metrics.readiness.faults()
    return not faults, json.dumps({"ready": not faults, "faults": faults}).encode()
