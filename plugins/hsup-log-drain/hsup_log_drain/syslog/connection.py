"""Send bytes over one connection, and know how many of them its other end has taken.

TCP has no acknowledgement that a program could ask for, but the kernel knows which bytes the
kernel of the other end has acknowledged: SIOCOUTQ counts those that it has not (man 7 tcp). This
still holds when the connection is reset: what had not been acknowledged by then was not taken.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from typing import NamedTuple

from hsup_log_drain.addresses import reason
from hsup_log_drain.syslog.session import Session

#: A receiver that takes nothing for so long is given up.
STALL_SECONDS = 5.0
#: How long to wait, once the receiver has closed, until it is clear what it has taken.
_SETTLING_SECONDS = 1.0

#: The waits between looks at what is acknowledged: a receiver nearby answers within the first, and
#: one far away is noticed when the wait is half as long again at the most.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, _GROWTH = 0.0002, 0.02, 1.5

_RECEIVED_BYTES = 1 << 16
_LINGER = struct.pack("ii", 1, 0)


class Ending(NamedTuple):
    """Why nothing more is sent over a connection; `error` is what was raised, if anything was."""

    text: str
    error: OSError | None = None


class ConnectionBroken(Exception):
    """Not everything was taken, and nothing more will be; `taken_bytes` were."""

    def __init__(self, ending: Ending, taken_bytes: int) -> None:
        super().__init__(ending.text)
        self.ending = ending
        self.taken_bytes = taken_bytes


class Connection:
    """A connection that is established. It is closed as soon as the other end closes it.

    `ending` is None as long as it is of use.
    """

    def __init__(self, connected: socket.socket, session: Session) -> None:
        self._socket = connected
        self._session = session
        self._waiting: asyncio.Future[None] | None = None
        self._has_heard = False
        self._is_sending = False
        self._left = 0
        self.ending: Ending | None = None
        asyncio.get_running_loop().add_reader(connected, self._receive)

    async def heard(self, seconds: float) -> None:
        """Return when the other end has sent something, or has closed, or after a time."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._has_heard and self.ending is None and (left := end - loop.time()) > 0:
            await self._wait(left)

    async def send(self, data: bytes) -> None:
        """Return when the other end's kernel has taken all bytes. Raises ConnectionBroken.

        Must not be called again after an error or a cancellation: call `abort` then.
        """
        self._is_sending = True
        sealed = self._session.seal(data)
        rest, pace = memoryview(sealed.data), _Pace()
        while self.ending is None:
            rest = self._write(rest)
            left = len(rest) + self._unacknowledged()
            if not left:
                self._is_sending = False
                return
            if pace.is_stalled(left):
                text = f"the receiver took nothing for {STALL_SECONDS:.0f} s"
                self._end(text, TimeoutError(text))
            else:
                await self._wait(pace.pause_seconds(), is_unsent=bool(rest))
        left = len(rest) + await self._settled()
        if left:
            raise ConnectionBroken(self.ending, sealed.opened(len(sealed.data) - left))
        self._is_sending = False
        self._socket.close()  # the other end, which has taken everything, has closed it

    def close(self) -> None:
        """Close it; what was sent still arrives."""
        self._unacknowledged()
        if self.ending is None:
            self._end("it was closed")
            try:
                self._socket.send(self._session.end())
                self._socket.shutdown(socket.SHUT_WR)
            except OSError:  # it has just been closed by the other end
                pass
        self._socket.close()

    def abort(self) -> None:
        """Close it; what the other end has not taken never arrives, and is not sent twice later."""
        self._unacknowledged()
        self._end("it was closed")
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
        except OSError:
            pass
        self._socket.close()

    def _write(self, data: memoryview) -> memoryview:
        """Write as much as there is room for; return the rest."""
        try:
            while data:
                data = data[self._socket.send(data) :]
        except BlockingIOError:
            pass
        except OSError as error:
            self._end(reason(error), error)
        return data

    def _unacknowledged(self) -> int:
        """Return how many bytes that were written the other end has not taken."""
        if self._socket.fileno() >= 0:
            left = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(4))
            (self._left,) = struct.unpack("i", left)
        return self._left

    async def _settled(self) -> int:
        """Return how many bytes that were written the other end will not take.

        One that has closed its sending side only goes on taking; the kernel of one that has
        closed resets the connection as soon as more arrives.
        """
        loop = asyncio.get_running_loop()
        end, pace = loop.time() + _SETTLING_SECONDS, _Pace()
        assert self.ending is not None
        is_over = self.ending.error is not None or self._socket.fileno() < 0
        while (left := self._unacknowledged()) and not is_over and loop.time() < end:
            is_over = bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
            await asyncio.sleep(pace.pause_seconds())
        return left

    def _receive(self) -> None:
        self._has_heard = True
        try:
            if not self._session.receive(self._socket.recv(_RECEIVED_BYTES)):
                self._end("the receiver closed the connection")
        except BlockingIOError:
            return
        except OSError as error:
            self._end(_reason(error), error)
        if self.ending is not None and not self._is_sending:
            self._socket.close()
        self._wake()

    def _end(self, text: str, error: OSError | None = None) -> None:
        if self.ending is None:
            self.ending = Ending(text, error)
            asyncio.get_running_loop().remove_reader(self._socket)
            self._wake()

    async def _wait(self, seconds: float, *, is_unsent: bool = False) -> None:
        """Wait until something comes, there is room for what is unsent, or a time is over."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        if is_unsent:
            loop.add_writer(self._socket, self._wake)
        try:
            await self._waiting
        finally:
            timer.cancel()
            if is_unsent:
                loop.remove_writer(self._socket)

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def _reason(error: OSError) -> str:
    """Return why nothing more is received: `ssl.SSLError` is an OSError, but its number is not."""
    problem = getattr(error, "reason", None)
    return f"TLS failed: {problem}" if problem else reason(error)


class _Pace:
    """How often to look whether something was taken."""

    def __init__(self) -> None:
        self._least_left: int | None = None
        self._pause_seconds = _FIRST_PAUSE_SECONDS
        self._since = 0.0

    def is_stalled(self, left: int) -> bool:
        """Note how many bytes are not taken; tell whether that was so for too long."""
        now = asyncio.get_running_loop().time()
        if self._least_left is None or left < self._least_left:
            self._least_left, self._since = left, now
            self._pause_seconds = _FIRST_PAUSE_SECONDS
        return now - self._since >= STALL_SECONDS

    def pause_seconds(self) -> float:
        """Return for how long to wait before the next look."""
        pause = self._pause_seconds
        self._pause_seconds = min(pause * _GROWTH, _LONGEST_PAUSE_SECONDS)
        return pause
