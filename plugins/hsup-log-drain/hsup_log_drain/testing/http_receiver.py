"""An HTTP server for drains, on a socket of this machine."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BufferedReader
from typing import Self

from hsup_log_drain.testing.http_answers import OK, Ending, HttpAnswer, Reading
from hsup_log_drain.testing.http_requests import RequestHead, SeenRequest, read_head

_BACKLOG = 64
_PATIENCE_SECONDS = 30.0


class HttpReceiver:
    """Takes what drains post, and answers it; a context manager.

    `requests` has every request that was read whole, in order of their ends. `invalid` has what
    was wrong with any of them, and is to be empty at the end of a test.
    """

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[SeenRequest] = []
        self.invalid: list[str] = []
        self.failed_handshakes: list[str] = []
        self.connection_count = 0
        self._tls = tls
        self._answers: deque[HttpAnswer] = deque()
        self._default = OK
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._connections: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._listening = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self.port: int = self._listening.getsockname()[1]

    @property
    def url(self) -> str:
        """Return the URL of the server."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        """Return how many connections are open."""
        with self._changed:
            return len(self._connections)

    def answer(self, answer: HttpAnswer, times: int = 1) -> None:
        """Answer the next requests in this way; more answers are given in turn."""
        with self._changed:
            self._answers.extend([answer] * times)

    def always_answer(self, answer: HttpAnswer) -> None:
        """Answer in this way if nothing else was asked for."""
        self._default = answer

    def wait_until(self, is_true: Callable[[], object]) -> None:
        """Return when something is true; looks after each event. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(is_true, _PATIENCE_SECONDS):
                raise TimeoutError(f"there are {len(self.requests)} requests, {self.invalid}")

    def wait_for_requests(self, count: int) -> None:
        """Return when there are so many requests. Raises TimeoutError."""
        self.wait_until(lambda: len(self.requests) >= count)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, and close all connections."""
        self._stopping.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._changed:
            connections = tuple(self._connections.values())
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while not self._stopping.is_set():
                connection, _ = self._listening.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._changed:
                    self.connection_count += 1
                    number = self.connection_count
                    self._connections[number] = connection
                    self._changed.notify_all()
                self._start(partial(self._serve, connection, number))

    def _serve(self, connection: socket.socket, number: int) -> None:
        served = self._established(connection, number)
        try:
            if served is not None:
                with served, served.makefile("rb") as stream:
                    while self._serve_request(served, stream, number):
                        pass
        except ValueError as error:
            self._note(partial(self.invalid.append, str(error)))
        except (EOFError, OSError):
            pass  # the client has closed the connection, as it may
        finally:
            connection.close()
            self._note(partial(self._connections.pop, number))

    def _established(self, connection: socket.socket, number: int) -> socket.socket | None:
        """Return a connection with TLS, if that is asked for; None if that failed."""
        if self._tls is None:
            return connection
        try:
            served = self._tls.wrap_socket(connection, server_side=True)
        except OSError as error:
            self._note(partial(self.failed_handshakes.append, str(error)))
            return None
        self._note(partial(self._connections.__setitem__, number, served))
        return served

    def _serve_request(
        self, connection: socket.socket, stream: BufferedReader, number: int
    ) -> bool:
        """Serve one request; tell whether there may be another one."""
        with self._changed:
            coming = self._answers[0] if self._answers else self._default
        if coming.reading is Reading.NOTHING:
            return self._send(connection, self._next_answer())
        head = read_head(lambda: _line(stream.readline()))
        answer = self._next_answer()
        if answer.reading is Reading.ALL:
            self._take(SeenRequest(number, head, _whole(stream.read(head.length), head)))
        return self._send(connection, answer)

    def _next_answer(self) -> HttpAnswer:
        with self._changed:
            return self._answers.popleft() if self._answers else self._default

    def _take(self, request: SeenRequest) -> None:
        try:
            request.check()
        except ValueError as error:
            self._note(partial(self.invalid.append, str(error)))
        self._note(partial(self.requests.append, request))

    def _send(self, connection: socket.socket, answer: HttpAnswer) -> bool:
        if answer.gate is not None:
            answer.gate.wait(_PATIENCE_SECONDS)
        size = 1 if answer.pause_seconds else len(answer.data) or 1
        for start in range(0, len(answer.data), size):
            connection.sendall(answer.data[start : start + size])
            if answer.pause_seconds and self._stopping.wait(answer.pause_seconds):
                return False
        for _ in range(answer.times):
            connection.sendall(answer.filling)
        if answer.ending is Ending.HANG:
            self._stopping.wait(_PATIENCE_SECONDS)
        elif answer.ending is Ending.HALF_CLOSE:
            connection.shutdown(socket.SHUT_WR)
        return answer.ending in (Ending.KEEP, Ending.HALF_CLOSE)

    def _note(self, change: Callable[[], object]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()


def _line(line: bytes) -> bytes:
    if not line:
        raise EOFError
    return line


def _whole(body: bytes, head: RequestHead) -> bytes:
    if len(body) != head.length:
        raise EOFError
    return body
