"""All dynos end with one, and hsup with a status: what CI relies on."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from ftest.program import Hsup
from ftest.terminal import Terminal

KILLED, TERMINATED, INTERRUPTED = 137, 143, 130
ENDS = {"exit 0": 0, "exit 3": 3, "kill -KILL $$": KILLED, "kill -TERM $$": TERMINATED}
#: Only SIGKILL ends it.
STUBBORN = "trap '' TERM; echo born; while :; do sleep 0.1; done"


@pytest.mark.parametrize("words", [("--abort-on-exit",), ("--exit-code-from", "test")], ids=str)
@pytest.mark.parametrize("end", ENDS)
def test_all_dynos_end_with_one_and_its_status(
    hsup: Hsup, end: str, words: tuple[str, ...]
) -> None:
    hsup.procfile(test=f"sleep 0.2; {end}", web=hsup.born)
    done = hsup.call("start", *words)
    assert done.status == ENDS[end]
    assert f"Stopping all dynos: test.1 exited with status {ENDS[end]}\n" in done.text
    assert hsup.processes() == {}


def test_the_status_is_that_of_a_type_whichever_ended(hsup: Hsup) -> None:
    """It may be that of having been stopped, as with Docker Compose."""
    hsup.procfile(test=f"trap 'exit 4' TERM; echo born; {hsup.sleep} & wait", web="sleep 1; exit 5")
    assert hsup.call("start", "--exit-code-from", "test").status == 4
    assert hsup.call("start", "--abort-on-exit").status == 5


@pytest.mark.parametrize("first", ["test.1", "test.2"])
def test_of_several_dynos_of_the_type_the_one_that_ended_first_counts(
    hsup: Hsup, first: str
) -> None:
    hsup.procfile(test=f"[ $DYNO != {first} ] || {{ sleep 0.5; exit 6; }}; exec {hsup.sleep}")
    done = hsup.call("start", "--exit-code-from", "test", "test=2")
    assert done.status == 6
    assert f"Stopping all dynos: {first} exited with status 6\n" in done.text


def test_a_dyno_that_does_not_end_is_killed_and_does_not_count(hsup: Hsup) -> None:
    hsup.procfile(test="sleep 1", web=STUBBORN)
    done = hsup.call("start", "--exit-code-from", "test", "--grace", "3")
    assert done.status == 0
    assert "Waiting for web.1, to be killed in 1 s; ^C kills at once\n" in done.text
    assert "heroku[web.1]: Stopping remaining processes with SIGKILL\n" in done.text


@pytest.mark.parametrize("words", [("--abort-on-exit",), ("--exit-code-from", "test")], ids=str)
def test_who_stops_hsup_before_gets_the_status_of_that(
    hsup: Hsup, terminal: Callable[..., Terminal], words: tuple[str, ...]
) -> None:
    hsup.procfile(test=hsup.born, web=hsup.born)
    screen = terminal("start", *words, env={"NO_COLOR": "1"})
    for _ in range(2):
        screen.wait_for(r"\.1 +\| born")
    screen.type("\x03")
    assert screen.ended() == INTERRUPTED
    running = hsup.start(*words)
    running.wait_for(r"\.1\]: born", count=2)
    assert running.stop(signal.SIGTERM) == 0


def test_who_does_not_want_to_wait_kills_what_is_left(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(test="sleep 1; exit 7", web=STUBBORN)
    screen = terminal("start", "--exit-code-from", "test", env={"NO_COLOR": "1"})
    screen.wait_for(r"stopping all dynos: test\.1 exited with status 7")
    screen.wait_for(r"waiting for web\.1, to be killed in 28 s; \^C kills at once")
    screen.type("\x03")
    assert screen.ended() == INTERRUPTED


def test_a_type_that_is_not_started_is_refused(hsup: Hsup) -> None:
    hsup.procfile(test="true", web="true")
    done = hsup.call("start", "--exit-code-from", "test", "web")
    assert done.status == 2
    assert (
        '--exit-code-from: no dyno of process type "test" is started; choose from web'
        in done.message
    )
