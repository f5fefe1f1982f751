"""The kind `logplex`, for `--logplex-url`: lines as the Go program sent them, with log-shuttle.

https://github.com/heroku/log-shuttle: logplex_formatter.go. Other than there, a body has a
Content-Length, as it is known whole, and some receivers and proxies take nothing else; a
status of 400 or more is a failure; and a last line without a newline is sent, with one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator

from hsup.api import LogBatch
from hsup.log_drain import Destination, DrainLimits, LogBlock
from hsup_log_drain.frames import Cut, encode, field, is_loss, timestamp
from hsup_log_drain.http.client import Client
from hsup_log_drain.http.target import Headers, Target
from hsup_log_drain.tls import TLS

#: As in log-shuttle: config.go. With heads, bodies have 102,400 bytes, as those of HTTP drains.
_LIMITS = DrainLimits(
    lines=500,
    bytes=64_000,
    wait_seconds=0.25,
    lanes=4,
    tries=3,
    overflow_code="L12",
    only_dynos=True,
)
_CONTENT_TYPE = ("Content-Type", "application/logplex-1")

_PROCESS_LENGTH = 128  # RFC 5424, 6

#: What hsup says of losses, with their number.
_LOSS = re.compile(rb": ([0-9]+) messages (dropped|lost) since ")
_COUNTS = {b"dropped": "Logplex-Drop-Count", b"lost": "Logplex-Lost-Count"}


class LogplexDrain:
    """Posts lines of dynos, and nothing of hsup's own, to a Logplex."""

    limits = _LIMITS

    def __init__(self, client: Client) -> None:
        self._client = client

    async def deliver(self, block: LogBlock) -> None:
        """Post what a block has of dynos' lines, and of losses of these."""
        batches = tuple(batch for batch in block.batches if _is_sent(batch))
        frames = encode(batches, _head, Cut.PIECES)
        if not frames.frame_count:
            return
        headers = (
            _CONTENT_TYPE,
            ("Logplex-Msg-Count", str(frames.frame_count)),
            *_loss_counts(batches),
            ("X-Request-Id", str(uuid.UUID(block.id, version=4))),
        )
        await self._client.post(headers, frames.data)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def create(destination: Destination) -> LogplexDrain:
    """Make the drain for a URL, whose whole query is Logplex's. Raises UsageError."""
    url = destination.url
    tls = TLS({}) if url.scheme == "https" else None
    return LogplexDrain(Client(Target(url, tls, url.query)))


def _is_sent(batch: LogBatch) -> bool:
    return is_loss(batch) or (batch.source == "app" and batch.event is None)


def _head(batch: LogBatch) -> bytes:
    time = timestamp(batch.time)
    if is_loss(batch):
        return b"<172>1 %s heroku app log-shuttle - - " % time
    return b"<190>1 %s shuttle app %s - - " % (time, field(batch.dyno, _PROCESS_LENGTH))


def _loss_counts(batches: Iterable[LogBatch]) -> Headers:
    """Return the headers that tell how many lines were dropped and lost, for those that were."""
    counts = dict.fromkeys(_COUNTS.values(), 0)
    for count, word in _losses(batches):
        counts[_COUNTS[word]] += count
    return tuple((name, str(count)) for name, count in counts.items() if count)


def _losses(batches: Iterable[LogBatch]) -> Iterator[tuple[int, bytes]]:
    for batch in batches:
        if is_loss(batch) and (found := _LOSS.search(batch.lines)):
            yield int(found[1]), found[2]
