"""The kinds `https` and `http`: lines as the platform's HTTPS drains send them.

https://github.com/heroku/logplex/blob/master/doc/README.http_drains.md
"""

from __future__ import annotations

from hsup.api import LogBatch
from hsup.log_drain import Destination, DrainLimits, DrainURL, LogBlock
from hsup_log_drain.frames import encode, field, priority, timestamp
from hsup_log_drain.http.client import Client
from hsup_log_drain.http.compression import compressed, take_gzip
from hsup_log_drain.http.target import Headers, Target
from hsup_log_drain.tls import PARAMETERS, TLS

#: With the heads of frames of common lines, this makes bodies of 102,400 bytes.
_BLOCK_BYTES = 64_000

#: RFC 5424, 6: how long a field may be.
_APP_LENGTH = 48
_PROCESS_LENGTH = 128


class HttpDrain:
    """Posts blocks of lines as `application/logplex-1`."""

    limits = DrainLimits(lines=1024, bytes=_BLOCK_BYTES, wait_seconds=0.25, lanes=4, tries=3)

    def __init__(self, client: Client, token: str, *, is_compressed: bool) -> None:
        self._client = client
        self._is_compressed = is_compressed
        self._headers: Headers = (
            ("Content-Type", "application/logplex-1"),
            ("Logplex-Drain-Token", token),
        )
        if is_compressed:
            self._headers += (("Content-Encoding", "gzip"),)

    async def deliver(self, block: LogBlock) -> None:
        """Post a block; its frame id tells the receiver if it has it already."""
        frames = encode(block.batches, _head)
        if not frames.frame_count:
            return
        headers = (
            ("Logplex-Msg-Count", str(frames.frame_count)),
            ("Logplex-Frame-Id", block.id.upper()),
        )
        body = compressed(frames.data) if self._is_compressed else frames.data
        await self._client.post(self._headers + headers, body)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def create(destination: Destination) -> HttpDrain:
    """Make the drain for a URL. Raises UsageError."""
    url, is_compressed = take_gzip(destination.url)
    tls, url = _take_tls(url)
    client = Client(Target(url, tls, url.query))
    return HttpDrain(client, destination.token, is_compressed=is_compressed)


def _head(batch: LogBatch) -> bytes:
    """Return what the platform puts before a message: it has no structured data."""
    return b"<%d>1 %s host %s %s - " % (
        priority(batch),
        timestamp(batch.time),
        field(batch.source, _APP_LENGTH),
        field(batch.dyno, _PROCESS_LENGTH),
    )


def _take_tls(url: DrainURL) -> tuple[TLS | None, DrainURL]:
    """Return the TLS that a URL asks for, and what is left for the receiver.

    Many receivers have a parameter `key` of their own: without `cert`, it is theirs.
    """
    if url.scheme != "https":
        return None, url
    has_certificate = any(name == "cert" for name, _ in url.parameters)
    files, rest = url.take(*(name for name in PARAMETERS if name != "key" or has_certificate))
    return TLS(files), rest
