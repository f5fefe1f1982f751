"""hsup as process 1, as in a container of anybody's image: it reaps, and has its signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from ftest.program import Hsup, Running, eventually
from ftest.terminal import Terminal

#: Runs hsup as process 1, after a line of shell.
AS_INIT = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c")
ORPHANS = 'for i in 1 2 3; do (setsid sleep 0.3 &); done; exec "$@"'

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "gone"


def is_hsup(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text() == "hsup\n"
    except (FileNotFoundError, ProcessLookupError):
        return False


def init_of(running: Running) -> int:
    """Return process 1 of the namespace, once it is hsup and has forked."""
    assert eventually(lambda: children(running.child.pid))
    (init,) = children(running.child.pid)
    assert eventually(lambda: any(map(is_hsup, children(init))))
    return init


@pytest.mark.parametrize("words", [("start",), ("run", "--", "sh", "-c", "echo born; sleep 100")])
def test_orphans_are_reaped(hsup: Hsup, words: tuple[str, ...]) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.begin(*words, prefix=(*AS_INIT, ORPHANS, "sh"))
    init = init_of(running)
    running.wait_for("born")
    assert eventually(lambda: len(children(init)) == 1), [*map(state_of, children(init))]
    os.kill(init, signal.SIGTERM)
    assert running.ended() == (0 if words == ("start",) else 143)


def test_an_orphan_of_a_dyno_is_reaped_too(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    line = "(setsid sleep 0.2 &); sleep 0.5; grep -h State: /proc/[0-9]*/status"
    done = hsup.call("run", line, prefix=(*AS_INIT, 'exec "$@"', "sh"))
    assert "Z (zombie)" not in done.text
    assert done.text.count("State:") >= 2


@pytest.mark.parametrize(("line", "status"), [("exit 7", 7), ("kill -KILL $$", 137)])
def test_the_status_is_the_commands(hsup: Hsup, line: str, status: int) -> None:
    hsup.procfile(one="true")
    done = hsup.call("run", line, prefix=(*AS_INIT, 'exec "$@"', "sh"))
    assert (done.status, done.message.count("Traceback")) == (status, 0)


def test_a_dyno_that_crashes_is_started_again(hsup: Hsup) -> None:
    hsup.procfile(one="echo born; sleep 0.1; exit 3")
    running = hsup.begin("start", prefix=(*AS_INIT, ORPHANS, "sh"))
    init = init_of(running)
    running.wait_for("exited with status 3", count=2)
    os.kill(init, signal.SIGTERM)
    assert running.ended() == 0


def test_hsup_can_be_stopped_before_it_handles_signals(hsup: Hsup) -> None:
    # As soon as process 1 has forked, nothing is kept from hsup.
    hsup.procfile(one=hsup.born)
    running = hsup.begin("start", prefix=(*AS_INIT, ORPHANS, "sh"))
    os.kill(init_of(running), signal.SIGTERM)
    assert running.ended() in {0, 143}


def test_what_is_typed_interrupts_the_command_once(
    hsup: Hsup, terminal: Callable[..., Terminal]
) -> None:
    hsup.procfile(one="true")
    line = "trap 'echo interrupted' INT; echo ready; sleep 0.5; sleep 0.5; echo over"
    words = hsup.words("run", line)
    opened = terminal(argv=[*AS_INIT, 'exec "$@"', "sh", *words])
    opened.wait_for("ready")
    opened.type("\x03")
    opened.wait_for("interrupted")
    assert opened.ended() == 0
    assert "over" in opened.seen
    assert "interrupted" not in opened.seen
