"""Have drains deliver blocks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl, unquote, urlsplit

from hsup.api import LogBatch, LogEvent, Settings
from hsup.log_drain import Destination, DrainURL, LogBlock, LogDrain
from hsup_log_drain.hooks import hsup_register_log_drains

TOKEN = "d.fc6b856b-3332-4546-93de-7d0ee272c3bd"
TIME = 1_767_366_245_000_042_999
STAMP = "2026-01-02T15:04:05.000042+00:00"


def batch(
    lines: bytes, source: str = "app", dyno: str = "web.1", event: LogEvent | None = None
) -> LogBatch:
    return LogBatch(TIME, source, dyno, "stdout", lines, event=event)


def loss(code: str, text: str) -> LogBatch:
    return batch(f"{text}\n".encode(), "heroku", "logplex", LogEvent("error", code=code))


def block(*batches: LogBatch) -> LogBlock:
    given = batches or (batch(b"hello\n"),)
    return LogBlock(uuid.uuid4().hex, given, sum(one.lines.count(b"\n") for one in given))


def parsed(text: str) -> DrainURL:
    split = urlsplit(text)
    return DrainURL(
        split.scheme,
        split.hostname or "",
        split.port,
        split.path,
        None if split.username is None else unquote(split.username),
        None if split.password is None else unquote(split.password),
        tuple(parse_qsl(split.query, keep_blank_values=True)),
        split.query,
    )


def make(url: str, kind: str | None = None) -> LogDrain:
    read = parsed(url)
    factory = hsup_register_log_drains()[kind or read.scheme]
    return factory(Destination(read, TOKEN, Settings(directory="/", environ={})))


@asynccontextmanager
async def opened(url: str, kind: str | None = None) -> AsyncIterator[LogDrain]:
    drain = make(url, kind)
    try:
        yield drain
    finally:
        await drain.close()


def with_drain(
    url: str, use: Callable[[LogDrain], Awaitable[None]], kind: str | None = None
) -> None:
    """Call a function with a drain, in an event loop of its own."""

    async def run() -> None:
        async with opened(url, kind) as drain:
            await use(drain)

    asyncio.run(run())


def deliver(url: str, *blocks: LogBlock, kind: str | None = None) -> None:
    """Deliver blocks one after the other."""

    async def use(drain: LogDrain) -> None:
        for one in blocks or (block(),):
            await drain.deliver(one)

    with_drain(url, use, kind)
