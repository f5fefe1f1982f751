"""What the dynos of `hsup start` read: nothing, as long as they run, or what hsup itself reads."""

from __future__ import annotations

import os

import pytest

from ftest.program import Hsup

#: Says whether the input has ended, or gives something, within half a second.
LOOK = "import select; print('ends' if select.select([0], [], [], 0.5)[0] else 'stays open')"
#: Makes its input non-blocking, as Node.js does, and keeps it.
UNBLOCK = (
    "import os, time; os.set_blocking(0, False); print('unblocked', flush=True); time.sleep(9)"
)


def test_the_input_of_a_dyno_stays_open(hsup: Hsup) -> None:
    """As a program that watches files ends with its input."""
    hsup.procfile(one=f'{hsup.python} -c "{LOOK}"; exec {hsup.sleep}')
    running = hsup.start()
    running.wait_for(r"one\.1\]: stays open$")
    assert running.stop() == 0


def test_a_dyno_may_open_its_input_again(hsup: Hsup) -> None:
    hsup.procfile(one=f"echo opened > out < /dev/stdin && cat out; exec {hsup.sleep}")
    running = hsup.start()
    running.wait_for(r"one\.1\]: opened$")
    assert running.stop() == 0


def test_what_is_to_end_has_an_input_that_has_ended(hsup: Hsup) -> None:
    hsup.procfile(one=f'{hsup.python} -c "{LOOK}"', release=f'{hsup.python} -c "{LOOK}"')
    done = hsup.call("start", "--oneshot")
    assert done.text.count("]: ends\n") == 2


def test_a_dyno_that_makes_its_input_non_blocking_changes_that_of_no_other(hsup: Hsup) -> None:
    hsup.procfile(
        one=f'{hsup.python} -c "{UNBLOCK}"',
        two=f'sleep 1; {hsup.python} -c "import os; print(os.get_blocking(0))"; exec {hsup.sleep}',
    )
    running = hsup.start()
    running.wait_for("unblocked$")
    running.wait_for(r"two\.1\]: True$")
    assert running.stop() == 0


@pytest.mark.simple_only("hsup's own input is no file of a container")
def test_one_dyno_may_have_the_input_of_hsup(hsup: Hsup) -> None:
    hsup.procfile(web=f"read -r line; echo got $line; exec {hsup.sleep}")
    running = hsup.start("--stdin", "web.2", "web=2")
    os.write(running.stdin.fileno(), b"a line\n")
    running.wait_for(r"web\.2\]: got a line$")
    assert running.count(r"web\.1\]: got") == 0
    assert running.stop() == 0


@pytest.mark.simple_only("hsup's own input is no file of a container")
def test_a_dyno_that_is_to_have_the_input_must_be_started(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    done = hsup.call("start", "--stdin", "wep")
    assert done.status == 2
    assert '--stdin: dyno "wep.1" is not started; choose from web.1' in done.message


@pytest.mark.containers_only("the simple driver can do it")
def test_a_driver_with_containers_refuses_to_give_a_dyno_the_input_of_hsup(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    done = hsup.call("start", "--stdin", "web")
    assert done.status == 2
    assert "cannot be used with --stdin; leave it out, use -d simple" in done.message


@pytest.mark.simple_only("the streams of a container are no terminals of hsup")
def test_dynos_may_write_to_terminals(hsup: Hsup) -> None:
    """A program may then colour what it writes; nothing of it is changed or lost."""
    look = "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"
    hsup.procfile(one=f"{hsup.python} -c '{look}'; seq 50000; printf 'no newline'")
    done = hsup.call("start", "--oneshot", "--tty", "--log-format", "raw")
    numbers = "".join(f"{number}\n" for number in range(1, 50001))
    assert done.text == f"True True\n{numbers}no newline"


@pytest.mark.containers_only("the simple driver can do it")
def test_a_driver_with_containers_refuses_to_give_dynos_terminals(hsup: Hsup) -> None:
    hsup.procfile(web="true")
    assert "cannot be used with --tty" in hsup.call("start", "--tty").message
