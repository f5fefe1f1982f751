"""Wait until the kernel has removed the interfaces of dynos from the host.

It does so some time after the last process of a dyno: 15 to 50 ms later for one dyno, 90 ms
for two hundred. A request to remove one at once takes as long, and blocks the making of
other interfaces meanwhile. So hsup waits for a notification, and sends a request only if
something else keeps the namespace in existence.
"""

from __future__ import annotations

import errno
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from hsup_driver_libcontainer.child import netlink_apply

if TYPE_CHECKING:
    import asyncio

_RTMGRP_LINK = 1  # linux/rtnetlink.h
_NEWS_BYTES = 1 << 16
_PATIENCE_SECONDS = 2.0


def wait_until_gone(index: int, removal: str) -> None:
    """Wait until the interface with this number is gone; `removal` is the request to remove it.

    Blocks. Raises OSError if it cannot be removed.
    """
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with _link_news() as news:
        while _is_there(index):
            left = deadline - time.monotonic()
            if left <= 0:
                _remove(removal)
                return
            news.settimeout(left)
            with suppress(TimeoutError):
                _read(news)


class LinkWatch:
    """Waits for any number of interfaces; listens only while there is one to wait for."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._news: socket.socket | None = None

    async def gone(self, index: int, removal: str) -> None:
        """Wait until the interface is gone, as `wait_until_gone` does, without blocking."""
        import asyncio

        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting[future] = index
        try:
            self._listen(loop)
            if _is_there(index):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await future
        except TimeoutError:
            _remove(removal)
        finally:
            del self._waiting[future]
            self._stop_listening(loop)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._news is None:
            self._news = _link_news()
            self._news.settimeout(0)
            loop.add_reader(self._news, self._hear, self._news)

    def _stop_listening(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._news is not None and not self._waiting:
            loop.remove_reader(self._news)
            self._news.close()
            self._news = None

    def _hear(self, news: socket.socket) -> None:
        """Ignore the content of the notifications, and look: the kernel may have dropped some."""
        with suppress(BlockingIOError):
            while True:
                _read(news)
        for future, index in self._waiting.items():
            if not future.done() and not _is_there(index):
                future.set_result(None)


def _link_news() -> socket.socket:
    """Return a socket on which the kernel reports every change of an interface."""
    news = netlink_apply.route_socket()
    news.bind((0, _RTMGRP_LINK))
    return news


def _read(news: socket.socket) -> None:
    try:
        news.recv(_NEWS_BYTES)
    except OSError as error:
        if error.errno != errno.ENOBUFS:  # more than the socket has room for
            raise


def _is_there(index: int) -> bool:
    try:
        socket.if_indextoname(index)
    except OSError as error:
        if error.errno != errno.ENXIO:
            netlink_apply.route_socket().close()  # raises the reason, which the C library hides
            raise
        return False
    return True


def _remove(removal: str) -> None:
    with netlink_apply.route_socket() as netlink:
        try:
            netlink_apply.request(netlink, bytes.fromhex(removal), ("remove a dyno's interface",))
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
