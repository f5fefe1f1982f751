"""What a killed hsup leaves, that the next one removes it, and that two do not meet."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from ftest.program import Hsup, Running, eventually, free_port, process

LISTEN = (
    "import socket, time\n"
    "s = socket.create_server(('', {port}))\n"
    "print('listening', flush=True)\n"
    "time.sleep({seconds})\n"
)


def kill_hsup(running: Running) -> None:
    running.child.kill()
    running.child.wait()


def dynos(hsup: Hsup) -> set[int]:
    """Return the processes that are no hsup."""
    return {pid for pid, line in hsup.processes().items() if str(hsup.path) not in line}


@pytest.mark.parametrize(
    "line",
    [
        "exec {sleep}",
        "setsid {sleep} & {sleep}",
        "env -i setsid -f {sleep} </dev/null >/dev/null 2>&1; exec {sleep}",
        "trap '' TERM HUP; {sleep}",
    ],
)
def test_the_next_hsup_ends_what_a_killed_one_left(hsup: Hsup, line: str) -> None:
    hsup.procfile(one="echo ready; " + line.format(sleep=hsup.sleep))
    first = hsup.start()
    first.wait_for("ready$")
    kill_hsup(first)
    hsup.procfile(other="true")
    assert hsup.call("start", "--oneshot").status == 0
    assert eventually(lambda: not dynos(hsup), 2), hsup.processes()


def test_a_killed_run_leaves_nothing_to_the_next_hsup(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    first = hsup.begin("run", f"setsid {hsup.sleep} & echo ready; {hsup.sleep}")
    first.wait_for("ready$")
    kill_hsup(first)
    assert hsup.call("start", "--oneshot").status == 0
    assert eventually(lambda: not dynos(hsup), 2), hsup.processes()


@pytest.mark.simple_only("the port of another driver's dyno is not the host's")
def test_the_port_of_a_killed_hsup_is_free_for_the_next(hsup: Hsup) -> None:
    port = free_port()
    script = LISTEN.format(port=port, seconds=hsup.token)
    hsup.release(Env={"PORT": str(port)}, Processes=[process("web", hsup.python, "-c", script)])
    first = hsup.start()
    first.wait_for("listening$")
    kill_hsup(first)
    second = hsup.start()
    second.wait_for("listening$")
    assert second.stop() == 0
    assert second.count("Address already in use") == 0
    assert second.count("crashed") == 0


@pytest.mark.simple_only("the port of another driver's dyno is not the host's")
def test_who_has_a_port_is_named_and_the_dyno_is_started(hsup: Hsup) -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        hsup.release(Env={"PORT": str(port)}, Processes=[process("web", hsup.born)])
        running = hsup.start()
        running.wait_for(rf"port {port} of web\.1 is taken by .* \(pid {os.getpid()}\)")
        running.wait_for("born$")
    assert running.stop() == 0


def test_two_hsups_do_not_disturb_one_another(
    hsup: Hsup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hsup.procfile(one=hsup.born)
    other = hsup.another(tmp_path_factory.mktemp("other"))
    other.procfile(two=other.born)
    first = hsup.start()
    first.wait_for("born$")
    second = other.start()
    try:
        second.wait_for("born$")
        assert second.stop() == 0
        assert other.processes() == {}
        assert dynos(hsup)
        assert first.stop() == 0
        assert first.count("born$") == 1
    finally:
        second.child.kill()
        second.child.wait()
        second.close()


def test_two_hsups_of_one_directory_do_not_disturb_one_another(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    first, second = hsup.start(), hsup.start()
    first.wait_for("born$")
    second.wait_for("born$")
    assert hsup.call("run", "echo third").text == "third\n"
    assert second.stop() == 0
    assert first.child.poll() is None
    assert first.stop() == 0
    assert (first.count("born$"), second.count("born$")) == (1, 1)


def test_hsup_does_not_touch_processes_that_are_not_its_own(hsup: Hsup) -> None:
    """A process with the marks of a dyno, but of somebody else, survives."""
    hsup.procfile(one="true")
    stranger = os.posix_spawnp("sleep", ["sleep", "60"], {**os.environ, "DYNO": "one.1"})
    try:
        assert hsup.call("start", "--oneshot").status == 0
        assert os.waitpid(stranger, os.WNOHANG) == (0, 0)
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)
