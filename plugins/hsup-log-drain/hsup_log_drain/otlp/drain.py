"""The kinds `otlp+http` and `otlp+https`: lines as OpenTelemetry logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from hsup.log_drain import Destination, DrainLimits, LogBlock
from hsup.threads import in_thread_or_here
from hsup_log_drain.http.client import Client
from hsup_log_drain.http.compression import compressed
from hsup_log_drain.http.target import Headers, Target
from hsup_log_drain.otlp.endpoint import Endpoint, endpoint
from hsup_log_drain.otlp.numbering import Numbering
from hsup_log_drain.otlp.requirement import require_messages
from hsup_log_drain.otlp.resources import attributes

if TYPE_CHECKING:
    from hsup_log_drain.otlp.answers import Judge
    from hsup_log_drain.otlp.messages import Message

_ANSWERS = "hsup_log_drain.otlp.answers"

#: Encoding so much takes 1 ms, or 5 ms for as many batches, and three times that if each is of
#: another dyno; and compressing it 3 ms.
_LINES = 1024
_BYTES = 1 << 17
_LANES = 4
#: With the delays between them, for about five minutes, as the collector's own exporter does.
_TRIES = 16


class OtlpDrain:
    """Posts blocks of lines as ExportLogsServiceRequest."""

    limits = DrainLimits(lines=_LINES, bytes=_BYTES, wait_seconds=0.25, lanes=_LANES, tries=_TRIES)

    def __init__(
        self, client: Client, receiver: Endpoint, metadata: Callable[[], Mapping[str, str]]
    ) -> None:
        self._client = client
        self._secrets = receiver.secrets
        self._metadata = metadata
        self._is_gzip = receiver.is_gzip
        self._headers: Headers = (
            ("Content-Type", "application/x-protobuf"),
            *((("Content-Encoding", "gzip"),) if receiver.is_gzip else ()),
            *receiver.headers.items(),
        )
        self._judge: Judge | None = None
        self._numbering = Numbering()
        self._tried: dict[str, Message] = {}

    async def deliver(self, block: LogBlock) -> None:
        """Post a block. Raises DrainError, and DrainRefused for what was rejected of it."""
        judge = self._judge or await self._prepare()
        message = self._tried.pop(block.id, None) or await self._encoded(block)
        if not message.record_count:
            return
        self._keep(block.id, message)
        judge.judge(await self._client.ask(self._headers, message.data), message.record_count)
        self._tried.pop(block.id, None)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _encoded(self, block: LogBlock) -> Message:
        from hsup_log_drain.otlp.messages import encode  # which is loaded by now

        describe = partial(attributes, metadata=self._metadata())
        message = await encode(block.batches, describe, self._numbering)
        return message._replace(data=compressed(message.data)) if self._is_gzip else message

    def _keep(self, block_id: str, message: Message) -> None:
        """Keep the message of a block, which may be tried again; those given up are forgotten."""
        self._tried[block_id] = message
        if len(self._tried) > _LANES:
            del self._tried[next(iter(self._tried))]

    async def _prepare(self) -> Judge:
        """Load protobuf's messages, in a thread, as that takes long."""
        await in_thread_or_here(partial(import_module, _ANSWERS))
        from hsup_log_drain.otlp.answers import Judge

        self._judge = Judge(self._secrets)
        return self._judge


def create(destination: Destination) -> OtlpDrain:
    """Make the drain for a URL. Raises UsageError."""
    require_messages()
    receiver = endpoint(destination.url)
    client = Client(Target(receiver.url, receiver.tls))
    return OtlpDrain(client, receiver, destination.metadata)
