"""Encode blocks of lines as ExportLogsServiceRequest, and read its response.

This imports protobuf's messages, which takes long: nothing does before there is a block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    ResourceLogs,
    ScopeLogs,
    SeverityNumber,
)

from hsup import __version__
from hsup.api import LogBatch, LogEvent
from hsup_log_drain.otlp.events import event_attributes, event_name
from hsup_log_drain.otlp.numbering import Numbering
from hsup_log_drain.severity import Severity, severity

if TYPE_CHECKING:
    from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

    Attributes = RepeatedCompositeFieldContainer[KeyValue]

_SEVERITIES = {
    Severity.INFO: SeverityNumber.SEVERITY_NUMBER_INFO,
    Severity.WARNING: SeverityNumber.SEVERITY_NUMBER_WARN,
    Severity.ERROR: SeverityNumber.SEVERITY_NUMBER_ERROR,
}

#: So many, each of another dyno, take 2 ms.
_BATCHES_AT_ONCE = 128

Describe = Callable[[LogBatch], Mapping[str, str]]


class Message(NamedTuple):
    """An encoded request, and how many log records there are in it."""

    data: bytes
    record_count: int


class Rejection(NamedTuple):
    """What a receiver says of a request that it took: how many records it did not, and why."""

    record_count: int
    reason: str


async def encode(batches: Sequence[LogBatch], describe: Describe, numbering: Numbering) -> Message:
    """Return the request for batches; `describe` returns the attributes of a batch's resource.

    There is one resource for each dyno of a release, and in it one scope for each source of lines:
    `app`, `heroku` and `hsup`. The records of a scope are in the order of their lines. The event
    loop has its turn after some batches each.
    """
    filling = _Filling(describe, numbering)
    count = 0
    for start in range(0, len(batches), _BATCHES_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        count += sum(map(filling.add, batches[start : start + _BATCHES_AT_ONCE]))
    return Message(filling.request.SerializeToString(), count)


def rejection(response: bytes) -> Rejection | None:
    """Return what the body of a response says of rejected records, None if it says nothing.

    Raises ValueError for what is no ExportLogsServiceResponse.
    """
    try:
        message = ExportLogsServiceResponse.FromString(response)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    if not message.HasField("partial_success"):
        return None
    said = message.partial_success
    return Rejection(max(said.rejected_log_records, 0), said.error_message)


class _Filling:
    """A request that batches are added to."""

    def __init__(self, describe: Describe, numbering: Numbering) -> None:
        self.request = ExportLogsServiceRequest()
        self._describe = describe
        self._numbering = numbering
        self._resources: dict[tuple[object, ...], ResourceLogs] = {}
        self._scopes: dict[tuple[object, ...], ScopeLogs] = {}
        self._of_streams: dict[str, LogRecord] = {}

    def add(self, batch: LogBatch) -> int:
        """Add a record for each line of a batch; return how many.

        Copies of one record are filled in: that is four times as fast as making each of them.
        """
        bodies = _bodies(batch.lines)
        common = self._common(batch)
        common.observed_time_unix_nano = batch.time
        records = self._scope(batch).log_records
        start = len(records)
        records.extend(repeat(common, len(bodies)))
        times = self._numbering.times(batch, len(bodies))
        for record, body, time in zip(records[start:], bodies, times, strict=True):
            record.time_unix_nano = time
            if isinstance(body, str):
                record.body.string_value = body
            else:
                record.body.bytes_value = body
        if batch.is_partial and bodies:
            _fill(records[-1].attributes, {"hsup.is_partial": True})
        return len(bodies)

    def _scope(self, batch: LogBatch) -> ScopeLogs:
        key = (batch.app, batch.release, batch.dyno, batch.source)
        if key not in self._scopes:
            scope = self._resource(batch).scope_logs.add()
            scope.scope.name = batch.source
            if batch.source != "app":
                scope.scope.version = __version__
            self._scopes[key] = scope
        return self._scopes[key]

    def _resource(self, batch: LogBatch) -> ResourceLogs:
        key = (batch.app, batch.release, batch.dyno)
        if key not in self._resources:
            self._resources[key] = logs = self.request.resource_logs.add()
            _fill(logs.resource.attributes, self._describe(batch))
        return self._resources[key]

    def _common(self, batch: LogBatch) -> LogRecord:
        """Return what all records of a batch have, except for their times."""
        if batch.event is not None:
            return _of_event(batch.event)
        if batch.stream not in self._of_streams:
            record = LogRecord(severity_number=_severity(None))
            _fill(record.attributes, {"log.iostream": batch.stream})
            self._of_streams[batch.stream] = record
        return self._of_streams[batch.stream]


def _of_event(event: LogEvent) -> LogRecord:
    record = LogRecord(severity_number=_severity(event), event_name=event_name(event))
    _fill(record.attributes, event_attributes(event))
    return record


def _severity(event: LogEvent | None) -> SeverityNumber.ValueType:
    return _SEVERITIES[severity(event)]


def _bodies(lines: bytes) -> Sequence[str | bytes]:
    """Return lines without their newlines: texts, or bytes if a line is not UTF-8."""
    bodies: Sequence[str | bytes]
    try:
        bodies = lines.decode().split("\n")
    except UnicodeDecodeError:
        bodies = [_body(line) for line in lines.split(b"\n")]
    return bodies if bodies[-1] else bodies[:-1]  # nothing is after the last newline


def _body(line: bytes) -> str | bytes:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line


def _fill(attributes: Attributes, values: Mapping[str, str | int]) -> None:
    """Add attributes; making each in its place takes half as long as adding one that is made."""
    for name, value in values.items():
        place = attributes.add(key=name).value
        if isinstance(value, bool):
            place.bool_value = value
        elif isinstance(value, int):
            place.int_value = value
        else:
            place.string_value = value
