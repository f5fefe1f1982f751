from __future__ import annotations

import itertools
from typing import Any

import pytest

from hsup.api import LogEvent
from hsup.archives.errors import ChecksumError
from hsup.errors import PluginError
from hsup.events import (
    DynoExited,
    DynoStateChanged,
    Event,
    ReleaseReceived,
    ReleaseRejected,
    SourceFailed,
)
from hsup.lifecycle import State
from hsup.model import Command, DynoName, ExitStatus
from hsup.output import messages
from hsup.output.messages import narrate
from hsup.testing import make_release

WEB = DynoName("web", 1)


def changed_event(before: State, after: State, **rest: Any) -> DynoStateChanged:
    return DynoStateChanged(dyno=WEB, before=before, after=after, **rest)


def changed(before: State, after: State, reason: str = "") -> tuple[str, ...]:
    event = changed_event(before, after, reason=reason)
    about, lines = narrate(event)
    assert about == "web.1"
    return tuple(line.text for line in lines)


def texts(event: Event) -> tuple[str, ...]:
    return tuple(line.text for line in narrate(event)[1])


def test_a_state_is_told_as_the_platform_does() -> None:
    assert changed(State.STARTING, State.UP) == ("State changed from starting to up",)
    assert changed(State.UP, State.CRASHED) == ("State changed from up to crashed",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.NEW, State.PROVISIONING),
        (State.PROVISIONING, State.STARTING),
        (State.UP, State.STOPPING),
    ],
    ids=str,
)
def test_a_state_that_the_platform_does_not_know_is_not_told(before: State, after: State) -> None:
    assert changed(before, after) == ()


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(State, 2)), ids=str)
def test_why_a_dyno_cannot_start_is_told_in_any_case(before: State, after: State) -> None:
    assert changed(before, after, "no such command")[0] == "Cannot start: no such command"


def test_an_exit_is_told_with_the_status_that_a_shell_has() -> None:
    event = DynoExited(dyno=WEB, status=ExitStatus(signal=9))
    assert texts(event) == ("Process exited with status 137",)


def test_an_exit_for_want_of_memory_is_told_as_the_platform_does() -> None:
    status = ExitStatus(signal=9, out_of_memory=True)
    assert texts(DynoExited(dyno=WEB, status=status)) == (
        "Error R15 (Memory quota vastly exceeded)",
        "Stopping process with SIGKILL",
        "Process exited with status 137",
    )


@pytest.mark.parametrize(
    ("running", "starting", "goes_on"),
    [
        (3, None, "still running v3"),
        (None, None, "nothing is running"),
        (None, 3, "starting the last good one instead"),
    ],
)
def test_a_rejection_tells_what_goes_on(
    running: int | None, starting: int | None, goes_on: str
) -> None:
    event = ReleaseRejected(error=PluginError("no"), running=running, starting=starting)
    assert narrate(event)[0] == "supervisor"
    assert texts(event) == (f"Release rejected, {goes_on}: no",)


@pytest.mark.parametrize(
    ("running", "starting", "what"),
    [
        (3, None, "Cannot fetch a newer release, keeping the current one"),
        (None, None, "Cannot fetch a release, nothing is running"),
        (None, 3, "Cannot fetch a newer release, starting the last good one, v3"),
    ],
)
def test_a_failure_of_the_source_tells_what_goes_on(
    running: int | None, starting: int | None, what: str
) -> None:
    event = SourceFailed(error=PluginError("away"), running=running, starting=starting)
    assert narrate(event)[0] == "supervisor"
    assert texts(event) == (f"{what}: away",)


def test_what_the_platform_says_has_its_source_and_what_it_does_not_has_hsups() -> None:
    failed = changed_event(State.STARTING, State.CRASHED, reason="no cgroup", code="R99")
    assert [(line.source, line.text) for line in narrate(failed)[1]] == [
        ("heroku", "Error R99 (Platform error) -> Failed to launch the dyno within 10 seconds"),
        ("hsup", "Cannot start: no cgroup"),
        ("heroku", "State changed from starting to crashed"),
    ]
    exited = DynoExited(dyno=WEB, status=ExitStatus(signal=9, out_of_memory=True))
    assert {line.source for line in narrate(exited)[1]} == {"heroku"}
    for line in (messages.STOPPING, messages.KILLING, messages.exit_timeout(30)):
        assert line.source == "heroku"
    for line in (messages.ADOPTED, messages.DETACHED, messages.waiting_for_port(5000, WEB)):
        assert line.source == "hsup"


def test_a_restart_is_told_before_its_first_signal() -> None:
    assert changed(State.UP, State.RESTARTING) == ("Restarting",)


def test_a_release_is_caused_by_others() -> None:
    about, (line,) = narrate(ReleaseReceived(make_release(version=3, web=1)))
    assert (line.source, about, line.text) == ("app", "api", "Release v3 created")


def test_a_wrong_checksum_is_told_in_the_platforms_words_and_then_in_hsups() -> None:
    error = ChecksumError("a", "b", hint="ask")
    about, lines = narrate(ReleaseRejected(error=error, running=1))
    platform = (
        "Error R17 (Checksum error) -> Checksum does match expected value. "
        "Expected: SHA256:a Actual: SHA256:b"
    )
    assert about == "supervisor"
    assert [(line.source, line.text) for line in lines] == [
        ("heroku", platform),
        ("hsup", f"Release rejected, still running v1: {platform}; ask"),
    ]


def test_the_default_command_of_an_image_is_told_in_hsups_words() -> None:
    line = messages.starting(Command(()))
    assert (line.source, line.text) == ("hsup", "Starting process with the image's default command")


def test_a_command_is_told_as_a_shell_would_read_it() -> None:
    assert messages.starting(Command(("echo", "a  b"))).text == (
        "Starting process with command `echo 'a  b'`"
    )


def test_a_timeout_tells_how_long_was_waited() -> None:
    assert "within 30 seconds of SIGTERM" in messages.exit_timeout(30.0).text
    assert "within 0.5 seconds of SIGTERM" in messages.exit_timeout(0.5).text


def events(event: Event) -> list[LogEvent]:
    """Return the events of the lines, each of which has the value that it tells."""
    told = [line.event for line in narrate(event)[1]]
    assert all(one.of is event for one in told)
    return [one._replace(of=None, facts={}) for one in told]


def test_programs_are_told_the_state_that_people_are() -> None:
    crashed = DynoStateChanged(dyno=WEB, before=State.UP, after=State.CRASHED, reason="no")
    assert events(crashed) == [LogEvent("error"), LogEvent("state_changed", state="crashed")]
    stopped = DynoStateChanged(dyno=WEB, before=State.STOPPING, after=State.STOPPED)
    assert events(stopped) == [LogEvent("state_changed", state="down")]


def test_programs_are_told_how_a_dyno_exited_and_the_codes_of_errors() -> None:
    status = ExitStatus(signal=9, out_of_memory=True)
    assert events(DynoExited(dyno=WEB, status=status)) == [
        LogEvent("error", code="R15"),
        LogEvent("killing"),
        LogEvent("exited", status=137),
    ]
    assert messages.exit_timeout(30.0).event == LogEvent(
        "error", code="R12", facts={"grace_seconds": 30.0}
    )
    checksum = ChecksumError("a", "b", hint="ask")
    assert events(ReleaseRejected(error=checksum, running=1)) == [
        LogEvent("error", code="R17"),
        LogEvent("release_rejected", code="R17"),
    ]
    failed = SourceFailed(error=PluginError("no"), running=1)
    assert events(failed) == [LogEvent("source_failed")]
