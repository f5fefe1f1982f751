from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs

from hsup import __version__
from hsup.api import LogBatch, LogEvent
from hsup_log_drain.otlp.messages import Rejection, encode, rejection
from hsup_log_drain.otlp.numbering import Numbering

TIME = 1_790_000_000_123_456_789


def batch(
    lines: bytes,
    dyno: str = "web.1",
    *,
    source: str = "app",
    stream: str = "stdout",
    event: LogEvent | None = None,
    is_partial: bool = False,
    time: int = TIME,
) -> LogBatch:
    return LogBatch(time, source, dyno, stream, lines, is_partial, "shop", 42, event)


def dyno_of(batch: LogBatch) -> Mapping[str, str]:
    return {"dyno": batch.dyno}


def resources(batches: Sequence[LogBatch]) -> list[ResourceLogs]:
    message = asyncio.run(encode(batches, dyno_of, Numbering()))
    request = ExportLogsServiceRequest.FromString(message.data)
    records = [one for logs in request.resource_logs for one in logs.scope_logs]
    assert message.record_count == sum(len(scope.log_records) for scope in records)
    return list(request.resource_logs)


def records(*batches: LogBatch) -> list[LogRecord]:
    """Return the records of batches that have one resource and one scope."""
    [logs] = resources(batches)
    [scope] = logs.scope_logs
    return list(scope.log_records)


def plain(attributes: Sequence[KeyValue]) -> dict[str, object]:
    found: dict[str, object] = {}
    for one in attributes:
        assert one.key not in found
        found[one.key] = getattr(one.value, str(one.value.WhichOneof("value")))
    return found


def bodies(*batches: LogBatch) -> list[str | bytes]:
    return [getattr(one.body, str(one.body.WhichOneof("value"))) for one in records(*batches)]


def test_a_line_is_a_record_with_its_stream_and_times() -> None:
    [record] = records(batch(b"hello\n", stream="stderr"))
    assert record.body.string_value == "hello"
    assert record.time_unix_nano == record.observed_time_unix_nano == TIME
    assert record.severity_number == 9
    assert plain(record.attributes) == {"log.iostream": "stderr"}
    assert record.event_name == ""


def test_lines_of_one_batch_are_in_order_by_their_times_too() -> None:
    found = records(batch(b"a\nb\nc"), batch(b"d\n", time=TIME + 5000))
    assert [one.body.string_value for one in found] == ["a", "b", "c", "d"]
    assert [one.time_unix_nano - TIME for one in found] == [0, 1, 2, 5000]
    assert [one.observed_time_unix_nano - TIME for one in found] == [0, 0, 0, 5000]


def test_parts_of_a_batch_are_in_order_by_their_times_too() -> None:
    whole = batch(b"a\nb\n")
    other = batch(b"x\n", stream="stderr")
    found = records(whole, other, batch(b"c\n"), batch(b"d\n", time=TIME + 9), whole)
    assert [one.time_unix_nano - TIME for one in found] == [0, 1, 0, 2, 9, 0, 1]


def test_not_all_streams_are_remembered() -> None:
    numbering = Numbering()
    for number in range(5000):
        assert list(numbering.times(batch(b"", f"run.{number}"), 2)) == [TIME, TIME + 1]
    assert list(numbering.times(batch(b"", "run.4999"), 1)) == [TIME + 2]


def test_bodies_are_the_bytes_that_a_dyno_wrote() -> None:
    text = "a\r\n\n\x00\x1b[1m\u2028\x85\f\v\n\N{SNOWMAN}\nlast".encode()
    expected = ["a\r", "", "\x00\x1b[1m\u2028\x85\f\v", "\N{SNOWMAN}", "last"]
    assert bodies(batch(text)) == expected


def test_a_line_that_is_not_utf_8_has_bytes_and_its_neighbours_have_text() -> None:
    assert bodies(batch(b"a\n\xff\x00b\n\nc\n")) == ["a", b"\xff\x00b", "", "c"]


def test_an_empty_line_has_a_body_which_is_empty() -> None:
    assert [one.body.WhichOneof("value") for one in records(batch(b"\n\n"))] == ["string_value"] * 2


def test_an_empty_batch_has_no_record() -> None:
    assert records(batch(b"")) == []


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))))
def test_lines_come_out_as_they_went_in(lines: list[bytes]) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    found = bodies(batch(whole))
    assert [one.encode() if isinstance(one, str) else one for one in found] == lines


def test_a_line_that_goes_on_in_the_next_batch_says_so() -> None:
    found = records(batch(b"a\nlong", is_partial=True), batch(b" line\n"))
    attributes = [plain(one.attributes) for one in found]
    assert [one.body.string_value for one in found] == ["a", "long", " line"]
    assert [one.get("hsup.is_partial") for one in attributes] == [None, True, None]


def test_each_dyno_has_a_resource_and_each_source_a_scope() -> None:
    first, second = resources(
        [
            batch(b"1\n"),
            batch(b"2\n", "worker.1"),
            batch(b"3\n", source="heroku", event=LogEvent("exited", status=1)),
            batch(b"4\n", stream="stderr"),
        ]
    )
    assert plain(first.resource.attributes) == {"dyno": "web.1"}
    assert plain(second.resource.attributes) == {"dyno": "worker.1"}
    scopes = [(scope.scope.name, scope.scope.version) for scope in first.scope_logs]
    assert scopes == [("app", ""), ("heroku", __version__)]
    texts = [[one.body.string_value for one in scope.log_records] for scope in first.scope_logs]
    assert texts == [["1", "4"], ["3"]]


def test_dynos_of_two_releases_are_two_resources() -> None:
    assert len(resources([batch(b"1\n"), batch(b"2\n")._replace(release=43)])) == 2
    assert len(resources([batch(b"1\n"), batch(b"2\n")._replace(app="other")])) == 2


def test_what_hsup_says_is_an_event_and_of_no_stream() -> None:
    event = LogEvent("exited", status=143, code="R12")
    [record] = records(batch(b"x\n", source="heroku", event=event))
    assert record.event_name == "hsup.exited"
    assert plain(record.attributes) == {
        "event.name": "hsup.exited",
        "error.type": "R12",
        "process.exit.code": 143,
    }


def test_a_new_state_is_an_attribute() -> None:
    event = LogEvent("state_changed", state="up")
    [record] = records(batch(b"x\n", source="heroku", event=event))
    assert plain(record.attributes)["heroku.dyno.state"] == "up"


@pytest.mark.parametrize(
    ("event", "number"),
    [
        (LogEvent("notice"), 9),
        (LogEvent("exited", status=0), 9),
        (LogEvent("state_changed", state="up"), 9),
        (LogEvent("warning"), 13),
        (LogEvent("error", code="L10"), 13),
        (LogEvent("error", code="L14"), 17),
        (LogEvent("error", code="R15"), 17),
        (LogEvent("error"), 17),
        (LogEvent("state_changed", state="crashed"), 17),
        (LogEvent("release_rejected"), 17),
        (LogEvent("source_failed"), 17),
    ],
)
def test_the_severity_is_that_of_the_event(event: LogEvent, number: int) -> None:
    [record] = records(batch(b"x\n", source="heroku", event=event))
    assert record.severity_number == number


def test_a_response_says_what_was_rejected() -> None:
    said = ExportLogsPartialSuccess(rejected_log_records=3, error_message="too old")
    response = ExportLogsServiceResponse(partial_success=said)
    assert rejection(response.SerializeToString()) == Rejection(3, "too old")
    assert rejection(b"") is None


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"\xff"])
def test_a_response_that_is_none_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        rejection(body)
