"""An HTTP server for the answers."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hsup_source_heroku.testing.answers import Headers, HttpAnswer

#: Returns the answer to method, target and headers, None for no answer.
Respond = Callable[[str, str, Headers], HttpAnswer | None]

_LOOK_SECONDS = 0.02
_NOT_MODIFIED = 304


class Server(ThreadingHTTPServer):
    """A server on a port of this machine, 0 for any; calls `report` with its failures."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, port: int, respond: Respond, report: Callable[[str], object]) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.respond = respond
        self._report = report
        self._connections: set[socket.socket] = set()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(_LOOK_SECONDS,), daemon=True
        )

    def start(self) -> None:
        """Start answering."""
        self._thread.start()

    def stop(self) -> None:
        """Close all connections, and stop listening."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start a connection."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """End a connection."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: object) -> None:
        """Report the failure of a request, unless the client has closed the connection."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self._report(repr(error))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.respond(self.command, self.path, self.headers)
        self.close_connection = self.close_connection or answer is None or answer.is_cut
        if answer is not None:
            self._send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - named by the library

    def _send(self, answer: HttpAnswer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != _NOT_MODIFIED:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = answer.body[: len(answer.body) // 2] if answer.is_cut else answer.body
        size = 1 if answer.pause_seconds else len(body) or 1
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            time.sleep(answer.pause_seconds)
