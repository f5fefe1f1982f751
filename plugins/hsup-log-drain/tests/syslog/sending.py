"""Lines and drains for the tests of syslog."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from hsup.api import LogBatch, Settings
from hsup.log_drain import Destination, DrainURL, LogBlock, LogDrain
from hsup_log_drain.hooks import hsup_register_log_drains
from hsup_log_drain.testing import Certificate, Rsyslog, split_frames

TOKEN = "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
TIME = 1_767_366_245_000_042_999  # 2026-01-02T15:04:05.000042999Z
STAMP = b"2026-01-02T15:04:05.000042+00:00"
HEAD = b"<190>1 " + STAMP + b" " + TOKEN.encode() + b" app web.1 - - "


class StartRsyslog(Protocol):
    """Starts an rsyslog, which ends with the test."""

    def __call__(
        self, certificate: Certificate | None = None, clients_of: Path | None = None
    ) -> Rsyslog: ...


def batch(text: bytes, *, dyno: str = "web.1", source: str = "app") -> LogBatch:
    return LogBatch(TIME, source, dyno, "stdout", text)


def block(*batches: LogBatch) -> LogBlock:
    count = sum(one.lines.count(b"\n") + (not one.lines.endswith(b"\n")) for one in batches)
    return LogBlock("0" * 32, batches, count)


def numbered(count: int, size: int = 100, start: int = 0) -> Sequence[bytes]:
    """Return lines that differ, each of that many bytes without its newline."""
    return [(b"%d " % number).ljust(size, b"x") for number in range(start, start + count)]


def block_of(lines: Sequence[bytes]) -> LogBlock:
    """Return a block of several batches."""
    most = 100
    parts = (lines[start : start + most] for start in range(0, len(lines), most))
    return block(*(batch(b"".join(line + b"\n" for line in part)) for part in parts))


def messages(data: bytes) -> Sequence[bytes]:
    """Return the lines of whole frames."""
    frames = split_frames(data)
    assert all(one.startswith(HEAD) and one.endswith(b"\n") for one in frames)
    return [one[len(HEAD) : -1] for one in frames]


def create(url: DrainURL) -> LogDrain:
    kinds = hsup_register_log_drains()
    return kinds[url.scheme](Destination(url, TOKEN, Settings(directory="/", environ={})))


@asynccontextmanager
async def opened_at(url: DrainURL) -> AsyncIterator[LogDrain]:
    """Yield a drain, and close it."""
    drain = create(url)
    try:
        yield drain
    finally:
        await drain.close()


def opened(scheme: str, port: int, **parameters: object) -> AbstractAsyncContextManager[LogDrain]:
    """Yield a drain to this machine, and close it."""
    given = tuple((name, str(value)) for name, value in parameters.items())
    return opened_at(DrainURL(scheme, "127.0.0.1", port, parameters=given))


def inherited() -> Iterator[int]:
    """Yield the descriptors that a child would inherit."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.get_inheritable(int(name)):
                yield int(name)
        except OSError:  # the one that listed them
            pass
