"""A receiver of OpenTelemetry logs, which decodes them with the published protobuf.

    with otlp_receiver() as receiver:
        ...
        receiver.wait_for_requests(1)
        assert [one.text for one in records(receiver)] == ["hello"]
        assert receiver.invalid == []

Other than the rest of the test kit, this needs the package opentelemetry-proto.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from hsup_log_drain.testing.http_answers import HttpAnswer, status
from hsup_log_drain.testing.http_receiver import HttpReceiver
from hsup_log_drain.testing.http_requests import InvalidRequest, SeenRequest

CONTENT_TYPE = "application/x-protobuf"
_GZIP_FORMAT = 16 + zlib.MAX_WBITS
#: Records of lines that were read at once follow one another within this time.
_SPREAD_NANOSECONDS = 1_000_000

Value = str | bytes | int | bool


class SeenRecord(NamedTuple):
    """A log record, and what it is in: the attributes of its resource, its scope's name.

    `severity` is a short name, for example `INFO`; times are in nanoseconds since the epoch.
    """

    resource: Mapping[str, Value]
    scope: str
    attributes: Mapping[str, Value]
    body: Value
    severity: str
    time: int
    observed_time: int
    event_name: str

    @property
    def text(self) -> str:
        """Return the body, which has to be a text."""
        assert isinstance(self.body, str)
        return self.body


def otlp_receiver(port: int = 0, *, tls: ssl.SSLContext | None = None) -> HttpReceiver:
    """Return a receiver that takes everything unless it is told to answer something else."""
    receiver = HttpReceiver(port, tls=tls, check=check)
    receiver.always_answer(response())
    return receiver


def response(rejected: int | None = None, message: str = "") -> HttpAnswer:
    """Return the answer to a request of which so many records are rejected."""
    answer = ExportLogsServiceResponse()
    if rejected is not None:
        said = ExportLogsPartialSuccess(rejected_log_records=rejected, error_message=message)
        answer.partial_success.CopyFrom(said)
    return status(200, answer.SerializeToString(), {"Content-Type": CONTENT_TYPE})


def records(receiver: HttpReceiver) -> list[SeenRecord]:
    """Return the records of all requests that a receiver has seen, in order."""
    return [record for request in receiver.requests for record in records_of(request)]


def records_of(request: SeenRequest) -> Iterator[SeenRecord]:
    """Yield the records of a request. Raises InvalidRequest."""
    for logs in decoded(request).resource_logs:
        resource = _plain(logs.resource.attributes)
        for scope in logs.scope_logs:
            for record in scope.log_records:
                yield _seen(resource, scope.scope.name, record)


def decoded(request: SeenRequest) -> ExportLogsServiceRequest:
    """Return what is in a request. Raises InvalidRequest."""
    body = request.body
    if request.headers.get("content-encoding") == "gzip":
        body = zlib.decompress(body, _GZIP_FORMAT)
    try:
        return ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise InvalidRequest(str(error)) from None


def check(request: SeenRequest) -> None:
    """Raise InvalidRequest for anything but logs that have what every record needs."""
    if (request.head.method, request.headers.get("content-type")) != ("POST", CONTENT_TYPE):
        raise InvalidRequest(f"a {request.head.method} of such a type is not of OTLP over HTTP")
    count = 0
    for record in records_of(request):
        count += 1
        if not record.resource.get("service.name"):
            raise InvalidRequest("a resource has no service.name")
        if not 0 <= record.time - record.observed_time < _SPREAD_NANOSECONDS:
            raise InvalidRequest(f"a record was not read when it was written: {record}")
    if not count:
        raise InvalidRequest("there is no log record in a request")


def _seen(resource: Mapping[str, Value], scope: str, record: LogRecord) -> SeenRecord:
    return SeenRecord(
        resource=resource,
        scope=scope,
        attributes=_plain(record.attributes),
        body=_value(record.body),
        severity=SeverityNumber.Name(record.severity_number).removeprefix("SEVERITY_NUMBER_"),
        time=record.time_unix_nano,
        observed_time=record.observed_time_unix_nano,
        event_name=record.event_name,
    )


def _plain(attributes: Iterable[KeyValue]) -> dict[str, Value]:
    plain: dict[str, Value] = {}
    for one in attributes:
        if not one.key or one.key in plain:
            raise InvalidRequest(f'attribute "{one.key}" has no name, or comes twice')
        plain[one.key] = _value(one.value)
    return plain


def _value(value: AnyValue) -> Value:
    kind = value.WhichOneof("value")
    if kind not in {"string_value", "bytes_value", "int_value", "bool_value"}:
        raise InvalidRequest(f"a value is a {kind}")
    found: Value = getattr(value, kind)
    return found
