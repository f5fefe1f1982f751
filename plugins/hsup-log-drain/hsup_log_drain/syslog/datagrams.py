"""Send datagrams to one address, and notice when its machine refuses them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

from hsup_log_drain.addresses import Address

#: How long a refusal of the first datagram may take, before any other is sent.
_REFUSAL_SECONDS = 0.1
#: How long the queue of the network device may be full.
_STALL_SECONDS = 5.0
#: After so many datagrams, the rest of hsup has its turn.
_AT_ONCE = 256


class Datagrams:
    """A socket that sends to one address.

    `sent` is how many datagrams of the last call of `send` were sent.
    """

    def __init__(self, address: Address) -> None:
        """Find a way to the address. Raises OSError if there is none."""
        self.address = address
        self.sent = 0
        self._is_accepted = False
        self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
        try:
            self._socket.settimeout(0)
            self._socket.connect(address.address)
        except OSError:
            self._socket.close()
            raise

    async def send(self, datagrams: Sequence[bytes]) -> None:
        """Send datagrams; before others, the first one has to show that nothing refuses it.

        Raises OSError; a ConnectionRefusedError is about the last datagram that was sent.
        """
        self.sent = 0
        if self._failure() is not None:  # of a datagram of an earlier call
            self._is_accepted = False
        while self.sent < len(datagrams):
            most = _AT_ONCE if self._is_accepted else 1
            if not self._write(datagrams[self.sent : self.sent + most]):
                await self._room()
            elif self._is_accepted:
                await asyncio.sleep(0)
            else:
                await self._acceptance()
        self._raise_failure()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _write(self, datagrams: Sequence[bytes]) -> int:
        """Send datagrams as long as there is room; return how many."""
        before = self.sent
        try:
            for one in datagrams:
                self._socket.send(one)
                self.sent += 1
        except BlockingIOError:
            pass
        return self.sent - before

    async def _acceptance(self) -> None:
        """Wait for a refusal. Raises OSError if there is one."""
        loop = asyncio.get_running_loop()
        self._raise_failure()
        await _event(loop.add_reader, loop.remove_reader, self._socket, _REFUSAL_SECONDS)
        self._raise_failure()
        self._is_accepted = True

    async def _room(self) -> None:
        """Return when there is room for a datagram. Raises OSError if there is none for long."""
        loop = asyncio.get_running_loop()
        if not await _event(loop.add_writer, loop.remove_writer, self._socket, _STALL_SECONDS):
            raise OSError(f"the network took nothing for {_STALL_SECONDS:.0f} s")

    def _failure(self) -> OSError | None:
        """Return what the network has reported since it was last asked."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number)) if number else None

    def _raise_failure(self) -> None:
        if (failure := self._failure()) is not None:
            raise failure


async def _event(
    add: Callable[..., None], remove: Callable[..., object], of: socket.socket, seconds: float
) -> bool:
    """Wait until a callback is called; return False if it was not within a time."""
    happened = asyncio.Event()
    add(of, happened.set)
    try:
        async with asyncio.timeout(seconds):
            await happened.wait()
    except TimeoutError:
        return False
    finally:
        remove(of)
    return True
