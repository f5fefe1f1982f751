"""Encode blocks of lines as ExportLogsServiceRequest, and read its response.

This imports protobuf's messages, which takes long: nothing does before there is a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice, repeat
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    ResourceLogs,
    ScopeLogs,
    SeverityNumber,
)

from hsup import __version__
from hsup.api import LogBatch
from hsup_log_drain.otlp.severity import event_attributes, event_name, severity

Describe = Callable[[LogBatch], Mapping[str, str]]


class Message(NamedTuple):
    """An encoded request, and how many log records there are in it."""

    data: bytes
    record_count: int


class Rejection(NamedTuple):
    """What a receiver says of a request that it took: how many records it did not, and why."""

    record_count: int
    reason: str


def encode(batches: Iterable[LogBatch], describe: Describe) -> Message:
    """Return the request for batches; `describe` returns the attributes of a batch's resource.

    There is one resource for each dyno of a release, and in it one scope for each source of lines:
    `app`, `heroku` and `hsup`. The records of a scope are in the order of their lines.
    """
    request = ExportLogsServiceRequest()
    resources: dict[tuple[object, ...], ResourceLogs] = {}
    scopes: dict[tuple[object, ...], ScopeLogs] = {}
    count = 0
    for batch in batches:
        key = (batch.app, batch.release, batch.dyno)
        if key not in resources:
            resources[key] = request.resource_logs.add()
            resources[key].resource.attributes.extend(_attributes(describe(batch)))
        scope_key = (*key, batch.source)
        if scope_key not in scopes:
            scopes[scope_key] = _scope(resources[key], batch.source)
        count += _add_records(scopes[scope_key], batch)
    return Message(request.SerializeToString(), count)


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


def _scope(resource: ResourceLogs, source: str) -> ScopeLogs:
    scope = resource.scope_logs.add()
    scope.scope.name = source
    if source != "app":
        scope.scope.version = __version__
    return scope


def _add_records(scope: ScopeLogs, batch: LogBatch) -> int:
    """Add a record for each line of a batch; return how many.

    Copies of one record are filled in: that is four times as fast as making each of them.
    All lines of a batch were read at once. Each record has a nanosecond more than the one
    before, so that whoever sorts them by their times gets them in order.
    """
    records = scope.log_records
    bodies = _bodies(batch.lines)
    start = len(records)
    records.extend(repeat(_common(batch), len(bodies)))
    times = range(batch.time, batch.time + len(bodies))
    for record, body, time in zip(islice(records, start, None), bodies, times, strict=True):
        record.time_unix_nano = time
        if isinstance(body, str):
            record.body.string_value = body
        else:
            record.body.bytes_value = body
    if batch.is_partial and bodies:
        records[-1].attributes.extend(_attributes({"hsup.is_partial": True}))
    return len(bodies)


def _common(batch: LogBatch) -> LogRecord:
    """Return what all records of a batch have."""
    record = LogRecord(
        observed_time_unix_nano=batch.time,
        severity_number=SeverityNumber.Value(f"SEVERITY_NUMBER_{severity(batch.event)}"),
    )
    if batch.event is None:
        record.attributes.extend(_attributes({"log.iostream": batch.stream}))
    else:
        record.event_name = event_name(batch.event)
        record.attributes.extend(_attributes(event_attributes(batch.event)))
    return record


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


def _attributes(values: Mapping[str, str | int | bool]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in values.items()]


def _value(value: str | int | bool) -> AnyValue:  # noqa: FBT001 - one of the kinds of values
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case _:
            return AnyValue(string_value=value)
