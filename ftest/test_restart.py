"""What follows when a dyno ends by itself: back-off, restart, and `--oneshot`."""

from __future__ import annotations

import os
import signal

import pytest

from ftest.program import PATIENCE, Hsup, process

CRASHED = r"heroku\[one\.1\]: State changed from (up|starting) to crashed"
#: A program that becomes a daemon, as man 7 daemon describes it.
DETACH = """\
import os, time
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
time.sleep(600)
"""
BEGUN = r"app\[one\.1\]: begun$"


def test_the_first_restart_is_at_once_and_the_second_after_a_second(hsup: Hsup) -> None:
    hsup.procfile(one="echo begun; exit 3")
    running = hsup.start("one=3")
    dynos = ("one.1", "one.2", "one.3")
    for dyno in dynos:
        running.wait_for(rf"app\[{dyno}\]: begun$", count=3)
    pauses = [running.pauses(dyno) for dyno in dynos]
    assert min(pause[0] for pause in pauses) < 0.7  # a machine may be slow now and then
    assert 0.7 < min(pause[1] for pause in pauses) < 3.0 * PATIENCE
    assert running.stop() == 0


def test_an_exit_is_told_with_its_status(hsup: Hsup) -> None:
    hsup.procfile(one="exit 3")
    running = hsup.start()
    running.wait_for("State changed from up to crashed")
    exited = r"^\S+ heroku\[one\.1\]: Process exited with status 3$"
    assert running.count(r"^\S+ heroku\[one\.1\]: Starting process with command `exit 3`$") >= 1
    assert running.count(r"^\S+ heroku\[one\.1\]: State changed from starting to up$") >= 1
    assert running.count(exited) >= 1
    order = running.out.index("Process exited with status 3"), running.out.index("up to crashed")
    assert order == tuple(sorted(order))


def test_a_clean_exit_is_followed_by_a_restart_too(hsup: Hsup) -> None:
    hsup.procfile(one="echo begun")
    running = hsup.start()
    running.wait_for(BEGUN, count=2)
    assert "Process exited with status 0" in running.out


def test_a_signal_is_told_as_a_shell_would(hsup: Hsup) -> None:
    hsup.procfile(one="kill -KILL $$")
    running = hsup.start()
    running.wait_for(r"heroku\[one\.1\]: Process exited with status 137")


def test_a_dyno_that_somebody_kills_is_started_again(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born, two=hsup.born)
    running = hsup.start()
    running.wait_for("born$", count=2)
    os.kill(hsup.sleepers(2).pop(), signal.SIGKILL)
    running.wait_for("Process exited with status 137")
    running.wait_for("born$", count=3)


def test_a_new_release_ends_the_waiting(hsup: Hsup) -> None:
    hsup.procfile(one="echo begun; exit 3")
    running = hsup.start()
    running.wait_for(CRASHED, count=5)  # the next restart is in 6 s or later
    hsup.procfile(one=f"echo mended; exec {hsup.sleep}")
    running.wait_for("mended$")
    begun, crashed = running.times("Starting process .*mended")[0], running.times(CRASHED)[4]
    assert begun - crashed < 5.9


@pytest.mark.parametrize(
    ("commands", "status"),
    [
        ({"one": "exit 0", "two": "exit 0"}, 0),
        ({"one": "exit 3", "two": "exit 5", "three": "exit 0"}, 5),
        ({"one": "kill -TERM $$", "two": "exit 2"}, 143),
        ({"one": "no-such-program-of-ftest", "two": "true"}, 127),
    ],
)
def test_oneshot_ends_with_the_highest_status(
    hsup: Hsup, commands: dict[str, str], status: int
) -> None:
    hsup.procfile(**commands)
    assert hsup.call("start", "--oneshot").status == status


def test_oneshot_restarts_nothing(hsup: Hsup) -> None:
    hsup.procfile(one="echo begun; exit 3")
    done = hsup.call("start", "--oneshot")
    assert done.status == 3
    assert done.text.count("begun\n") == 1
    assert "crashed" not in done.text


def test_oneshot_waits_for_the_last_dyno(hsup: Hsup) -> None:
    hsup.procfile(one="true", two="sleep 0.3; echo last; exit 4")
    done = hsup.call("start", "--oneshot")
    assert (done.status, "app[two.1]: last\n" in done.text) == (4, True)


def test_oneshot_ends_with_255_for_what_could_not_be_started(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", "/no/such/one", "x"), process("two", "exit 3")])
    done = hsup.call("start", "--oneshot")
    assert done.status == (127 if hsup.has_containers else 255)  # bash finds out there
    assert "/no/such/one" in done.text + done.message


def test_oneshot_may_be_a_variable_or_stand_before_the_command(hsup: Hsup) -> None:
    hsup.procfile(one="exit 3")
    assert hsup.call("--oneshot", "start").status == 3
    assert hsup.call("start", env={"HSUP_ONESHOT": "1"}).status == 3


def test_oneshot_can_be_stopped(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start("--oneshot")
    running.wait_for("born$")
    assert running.stop(signal.SIGINT) in {130, 143}


@pytest.mark.simple_only("a container ends with its first process")
def test_a_program_that_detaches_itself_is_told_apart_from_one_that_ends(hsup: Hsup) -> None:
    """Each is explained once, and what has detached itself is ended before the next start."""
    hsup.files({"detach.py": DETACH})
    hsup.procfile(daemon=f"exec {hsup.python} detach.py", short="true", late="sleep 1.5")
    running = hsup.start()
    running.wait_for(r"hsup\[daemon\.1\]: Warning: the command moved to the background, and hsup")
    running.wait_for(r"hsup\[short\.1\]: Notice: the command ended within a second, without an")
    running.wait_for(r"heroku\[(daemon|short|late)\.1\]: Starting process", count=8)
    assert running.stop() == 0
    assert running.count("Warning: the command moved") == 1
    assert running.count("Notice: the command ended within") == 1
    assert hsup.processes() == {}


@pytest.mark.simple_only("a container ends with its first process")
def test_a_one_off_that_detaches_itself_is_told(hsup: Hsup) -> None:
    hsup.files({"detach.py": DETACH})
    hsup.procfile(daemon=f"exec {hsup.python} detach.py", short="true")
    done = hsup.call("start", "--oneshot")
    assert "hsup[daemon.1]: Warning: the command moved to the background" in done.text
    assert "Notice: the command ended within" not in done.text
    assert hsup.processes() == {}
