from __future__ import annotations

import itertools

import pytest

from hsup import messages
from hsup.errors import PluginError
from hsup.events import DynoExited, DynoStateChanged, ReleaseRejected
from hsup.lifecycle import State
from hsup.messages import narrate
from hsup.model import Command, DynoName, ExitStatus

WEB = DynoName("web", 1)


def changed(before, after, reason=""):
    event = DynoStateChanged(dyno=WEB, before=before, after=after, reason=reason)
    about, lines = narrate(event)
    assert about == "web.1"
    return lines


def test_a_state_is_told_as_the_platform_does():
    assert changed(State.STARTING, State.UP) == ("State changed from starting to up",)
    assert changed(State.UP, State.CRASHED) == ("State changed from up to crashed",)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (State.NEW, State.PROVISIONING),
        (State.PROVISIONING, State.STARTING),
        (State.UP, State.STOPPING),
        (State.UP, State.RESTARTING),
    ],
    ids=str,
)
def test_a_state_that_the_platform_does_not_know_is_not_told(before, after):
    assert changed(before, after) == ()


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(State, 2)), ids=str)
def test_why_a_dyno_cannot_start_is_told_in_any_case(before, after):
    assert changed(before, after, "no such command")[0] == "Cannot start: no such command"


def test_an_exit_is_told_with_the_status_that_a_shell_has():
    told = narrate(DynoExited(dyno=WEB, status=ExitStatus(signal=9)))
    assert told == ("web.1", ("Process exited with status 137",))


def test_an_exit_for_want_of_memory_is_told_as_the_platform_does():
    status = ExitStatus(signal=9, out_of_memory=True)
    assert narrate(DynoExited(dyno=WEB, status=status)) == (
        "web.1",
        (
            "Error R15 (Memory quota vastly exceeded)",
            "Stopping process with SIGKILL",
            "Process exited with status 137",
        ),
    )


@pytest.mark.parametrize(("running", "goes_on"), [(3, "v3 goes on"), (None, "nothing runs")])
def test_a_rejection_tells_what_goes_on(running, goes_on):
    about, lines = narrate(ReleaseRejected(error=PluginError("no"), running=running))
    assert about == "supervisor"
    assert lines == (f"Release rejected, {goes_on}: no",)


def test_a_command_is_told_as_a_shell_would_read_it():
    assert messages.starting(Command(("echo", "a  b"))) == (
        "Starting process with command `echo 'a  b'`"
    )


def test_a_timeout_tells_how_long_was_waited():
    assert "within 30 seconds of SIGTERM" in messages.exit_timeout(30.0)
    assert "within 0.5 seconds of SIGTERM" in messages.exit_timeout(0.5)
