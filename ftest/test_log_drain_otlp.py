"""Lines of dynos, and of hsup, arrive as OpenTelemetry logs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftest.program import Hsup
from hsup_log_drain.testing import HttpReceiver, status

pytest.importorskip("opentelemetry.proto", reason="opentelemetry-proto is not installed here")
from hsup_log_drain.testing.otlp_receiver import (  # which imports that
    SeenRecord,
    otlp_receiver,
    records,
    response,
)


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    with otlp_receiver() as running:
        yield running
    assert running.invalid == []


def _url(receiver: HttpReceiver) -> str:
    return f"otlp+{receiver.url}"


def _of(receiver: HttpReceiver, dyno: str, scope: str = "app") -> list[SeenRecord]:
    return [
        one
        for one in records(receiver)
        if (one.resource["heroku.dyno.name"], one.scope) == (dyno, scope)
    ]


def test_every_line_arrives_in_order_with_its_dyno(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web="seq 20000", worker="printf 'a\\n\\n\\377\\nb'; echo err >&2")
    ended = hsup.call("start", "--oneshot", "--drain", _url(receiver))
    assert ended.status == 0
    web = _of(receiver, "web.1")
    assert [one.body for one in web] == [str(number) for number in range(1, 20_001)]
    assert [one.time for one in web] == sorted(one.time for one in web)
    worker = _of(receiver, "worker.1")
    of_stream = [one.body for one in worker if one.attributes["log.iostream"] == "stdout"]
    assert of_stream == ["a", "", b"\xff", "b"]
    assert [one.body for one in worker if one.body not in of_stream] == ["err"]
    kinds = {one.resource["heroku.dyno.type"] for one in web + worker}
    assert kinds == {"web", "worker"}


def test_a_dyno_has_the_id_and_the_version_of_its_lines(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web="echo $HEROKU_APP_NAME $HEROKU_DYNO_ID $HEROKU_RELEASE_VERSION")
    hsup.call("start", "--oneshot", "--dyno-metadata", "--drain", _url(receiver))
    [line] = _of(receiver, "web.1")
    names = ("service.name", "service.instance.id", "service.version")
    assert line.text.split() == [line.resource[name] for name in names]


def test_what_hsup_says_of_dynos_arrives_as_events(hsup: Hsup, receiver: HttpReceiver) -> None:
    hsup.procfile(web="exit 3")
    hsup.call("start", "--oneshot", "--drain", _url(receiver))
    said = [one for one in records(receiver) if one.scope != "app"]
    [ended] = [one for one in said if one.event_name == "hsup.exited"]
    assert ended.body == "Process exited with status 3"
    assert ended.attributes["process.exit.code"] == 3
    assert {one.severity for one in said if one.scope == "heroku"} == {"INFO"}


def test_a_block_is_sent_again_and_what_is_rejected_is_not(
    hsup: Hsup, receiver: HttpReceiver
) -> None:
    receiver.answer(status(503))
    receiver.answer(response(1, "too old"))
    hsup.procfile(web="while echo tick; do sleep 0.1; done")
    running = hsup.start("--drain", _url(receiver))
    running.wait_for(r"it answered 503 \(Service Unavailable\)")
    running.wait_for("it rejected 1 of [0-9]+ lines: too old")
    receiver.wait_until(
        lambda: [one for one in records(receiver) if one.attributes.get("error.type") == "L13"]
    )
    assert running.stop() == 0
