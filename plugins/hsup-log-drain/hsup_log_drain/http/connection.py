"""One connection to a receiver, for one request after the other.

What a receiver answers is rarely needed but for its status: not much of it is kept, or waited for.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, cast

import h11

from hsup.errors import DrainError, DrainUnreachable
from hsup.log_drain import DrainURL
from hsup_log_drain.http.target import Headers
from hsup_log_drain.tls import refusal

_ANSWER_SECONDS = 5.0  # as the platform has it
#: How long to wait for the rest of an answer whose status is known, to use the connection again.
_REST_SECONDS = 1.0
_REFUSAL_SECONDS = 1.0
_CLOSING_SECONDS = 1.0

#: What is read at once; and of one answer, after which the connection is not used again.
_BUFFER_BYTES = 8 << 10
_ANSWER_BYTES = 32 << 10
#: What the head of an answer may have, as in h11 itself.
_HEAD_BYTES = 16 << 10


class Request(NamedTuple):
    """A request with a body. Its headers may have a password, and its path a key."""

    path: str
    headers: Headers
    body: bytes

    def __repr__(self) -> str:
        return f"<Request with {len(self.body)} bytes>"


class Answer(NamedTuple):
    """An answer; names of headers are in lower case. The body may not be all of it."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes = b""


class ClosedWithoutAnswer(DrainError):
    """The connection was closed before anything was answered."""

    def __init__(self) -> None:
        super().__init__("it closed the connection without an answer")


class Connection(asyncio.BufferedProtocol):
    """Sends requests, and reads answers as the event loop has them."""

    def __init__(self, url: DrainURL) -> None:
        loop = asyncio.get_running_loop()
        self.opened = loop.time()
        self._url = url
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._received = 0  # of the present answer
        self._body: list[bytes] = []
        self._answer: asyncio.Future[Answer] = loop.create_future()
        self._rest: asyncio.Future[None] = loop.create_future()
        self._lost: asyncio.Future[DrainError] = loop.create_future()
        self._answer.cancel()
        self._rest.cancel()  # nothing was asked yet

    @property
    def is_idle(self) -> bool:
        """Tell whether another request can be sent."""
        return not self._transport.is_closing() and self._http.our_state is h11.IDLE

    async def post(self, request: Request) -> Answer:
        """Send a request, and return the answer. Raises DrainError, and is of no use then."""
        loop = asyncio.get_running_loop()
        self._received, self._body = 0, []
        self._answer, self._rest = loop.create_future(), loop.create_future()
        try:
            self._transport.write(self._encoded(request))
            async with asyncio.timeout(_ANSWER_SECONDS):
                answer = await self._answer
            with suppress(TimeoutError):
                async with asyncio.timeout(_REST_SECONDS):
                    await self._rest
        except TimeoutError:
            self.abort()
            raise DrainError(f"it did not answer within {_ANSWER_SECONDS:.0f} s") from None
        except BaseException:
            self.abort()
            raise
        self._prepare_next()
        return answer._replace(body=b"".join(self._body))

    def abort(self) -> None:
        """Close the connection at once, whatever has not been sent."""
        self._transport.abort()

    async def closed(self) -> None:
        """Return when the connection is closed, or when that takes too long."""
        await asyncio.wait((self._lost,), timeout=_CLOSING_SECONDS)

    async def refusal(self) -> DrainError | None:
        """Return how the receiver refuses the certificate of this side, None if it does not."""
        await asyncio.wait((self._lost,), timeout=_REFUSAL_SECONDS)
        failure = self._lost.result() if self._lost.done() else None
        return failure if isinstance(failure, DrainUnreachable) else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by the event loop, as all methods below."""
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 - the same for any
        """Return what to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read into the buffer."""
        self._received += nbytes
        if self._rest.done():
            self.abort()  # it says something that was not asked for
        else:
            # h11's text may have parts of the answer, and these a secret that was sent.
            self._read(bytes(self._buffer[:nbytes]), DrainError("its answer is not HTTP"))

    def eof_received(self) -> None:
        """Take the end of what there is to read; the transport is closed then."""
        if self._received and not self._rest.done():
            self._read(b"", _cut_off())

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        failure = self._failure(exc)
        if not self._answer.done():
            self._answer.set_exception(failure)
        if not self._rest.done():
            self._rest.set_result(None)
        self._lost.set_result(failure)

    def _encoded(self, request: Request) -> bytes:
        length = ("Content-Length", str(len(request.body)))
        head = h11.Request(method="POST", target=request.path, headers=[*request.headers, length])
        events = (head, h11.Data(data=request.body), h11.EndOfMessage())
        return b"".join(self._http.send(event) or b"" for event in events)

    def _read(self, data: bytes, error: DrainError) -> None:
        """Read a part of an answer; an empty one is its end. The error is for what is not HTTP."""
        try:
            self._http.receive_data(data)
            self._take_events()
        except h11.RemoteProtocolError:
            self._end(error)
        if self._received > _ANSWER_BYTES:
            self._end(DrainError(f"its answer has no end within {_ANSWER_BYTES} bytes"))

    def _take_events(self) -> None:
        while not self._rest.done():
            event = self._http.next_event()
            if event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed):
                return
            if isinstance(event, h11.Response) and not self._answer.done():
                self._answer.set_result(Answer(event.status_code, event.headers))
            if isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            if isinstance(event, h11.EndOfMessage):
                self._rest.set_result(None)

    def _end(self, error: DrainError) -> None:
        """Close the connection; this is an error if the status is not known yet."""
        if not self._answer.done():
            self._answer.set_exception(error)
        self.abort()

    def _failure(self, error: Exception | None) -> DrainError:
        if isinstance(error, ssl.SSLError) and not self._received:
            return refusal(error, self._url)
        if not self._received:
            return ClosedWithoutAnswer()
        return _cut_off()

    def _prepare_next(self) -> None:
        """Make ready for another request, or close the connection if it cannot take one."""
        is_sent = self._transport.get_write_buffer_size() == 0
        is_read = self._http.their_state is h11.DONE and self._http.trailing_data == (b"", False)
        if is_sent and is_read and self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            self.abort()


def _cut_off() -> DrainError:
    return DrainError("it closed the connection in the middle of its answer")
