"""Post to a receiver over connections that are kept for the next post."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from hsup.errors import DrainError, DrainRefused, DrainUnreachable
from hsup_log_drain.http.connection import Answer, ClosedWithoutAnswer, Connection, Request
from hsup_log_drain.http.dialing import connect
from hsup_log_drain.http.retry_after import retry_seconds
from hsup_log_drain.http.target import Headers, Target

#: As the platform has it.
_IDLE_SECONDS = 4 * 60.0
_LIFE_SECONDS = 5 * 3600.0


class Client:
    """Posts to one target; has as many connections as there were posts at once."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._connections: set[Connection] = set()
        self._idle: dict[Connection, asyncio.TimerHandle] = {}
        self._is_closed = False

    async def post(self, headers: Headers, body: bytes) -> None:
        """Return when the receiver has taken a body. Raises DrainError."""
        _require_success(await self.ask(headers, body))

    async def ask(self, headers: Headers, body: bytes) -> Answer:
        """Post a body; return the answer, whatever its status is. Raises DrainError.

        A header that the target has, too, takes the place of the target's.
        """
        given = {name.lower() for name, _ in headers}
        others = tuple(one for one in self._target.headers if one[0].lower() not in given)
        return await self._answer(Request(self._target.path, others + headers, body))

    async def close(self) -> None:
        """Close all connections, whatever is posted over them."""
        self._is_closed = True
        closing = tuple(self._connections)
        for connection in closing:
            self._close(connection)
        await asyncio.gather(*(connection.closed() for connection in closing))

    async def _answer(self, request: Request) -> Answer:
        """Return the answer to a request.

        A receiver may close an idle connection just when it is used again. As it was told
        nothing else, this is no failure: the request is sent once more, over a new connection.
        """
        if (connection := self._take_idle()) is not None:
            try:
                return await self._post(connection, request)
            except ClosedWithoutAnswer:
                self._close_idle()
        try:
            return await self._post(await self._connected(), request)
        except ClosedWithoutAnswer as error:
            raise await self._refusal() or error from None

    async def _connected(self) -> Connection:
        """Return a new connection. Raises DrainUnreachable."""
        self._require_open()
        connection = await connect(self._target)
        self._connections.add(connection)
        try:
            self._require_open()
        except DrainUnreachable:
            self._close(connection)
            raise
        return connection

    async def _refusal(self) -> DrainError | None:
        """Return what a receiver has against the certificate of this side, or against its absence.

        With TLS 1.3 it tells this after the handshake, and may close the connection while lines
        are sent, which can discard what it told. So ask it again, and send nothing.
        """
        if self._target.tls is None:
            return None
        try:
            connection = await self._connected()
        except DrainError:
            return None
        try:
            return await connection.refusal()
        finally:
            self._close(connection)

    async def _post(self, connection: Connection, request: Request) -> Answer:
        try:
            answer = await connection.post(request)
        except BaseException:
            self._close(connection)
            raise
        self._keep(connection)
        return answer

    def _require_open(self) -> None:
        if self._is_closed:
            raise DrainUnreachable("the drain was closed")

    def _take_idle(self) -> Connection | None:
        """Return the connection that was used last, if it can be used again."""
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            if _is_usable(connection):
                return connection
            self._close(connection)
        return None

    def _keep(self, connection: Connection) -> None:
        """Keep a connection for the next post, or close it."""
        if self._is_closed or not _is_usable(connection):
            self._close(connection)
            return
        loop = asyncio.get_running_loop()
        self._idle[connection] = loop.call_later(_IDLE_SECONDS, self._close, connection)

    def _close_idle(self) -> None:
        for connection in tuple(self._idle):
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if (timer := self._idle.pop(connection, None)) is not None:
            timer.cancel()
        connection.abort()


def _is_usable(connection: Connection) -> bool:
    age = asyncio.get_running_loop().time() - connection.opened
    return connection.is_idle and age < _LIFE_SECONDS


def _require_success(answer: Answer) -> None:
    """Raise DrainRefused or another DrainError, as the platform understands a status."""
    status = answer.status
    if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, 15
        return
    text = f"it answered {status}{phrase(status)}"
    if 400 <= status < 500 and status != HTTPStatus.TOO_MANY_REQUESTS:  # noqa: PLR2004 - as above
        raise DrainRefused(text)
    if 300 <= status < 400:  # noqa: PLR2004 - as above
        hint = "redirects are not followed: use the URL that it redirects to"
        raise DrainError(text, hint=hint)
    raise DrainError(text, retry_seconds=retry_seconds(answer.headers))


def phrase(status: int) -> str:
    """Return the name of a status; the receiver's own words may have what was sent to it."""
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""
