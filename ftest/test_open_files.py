"""Where no more files may be open, hsup says so in a sentence, and goes on with what it can."""

from __future__ import annotations

import os
import re
import resource
import signal
from collections.abc import Callable

import pytest

from ftest.program import Hsup, eventually, replace
from ftest.terminal import Terminal

pytestmark = pytest.mark.not_with("docker", "its dynos' descriptors are the engine's")

REMEDY = "raise the open-file limit, for example ulimit -n 4096"
LIMITS = [6, 8, 16, 24, 28, 32, 40, 64]


def limited(number: int, which: str = "") -> list[str]:
    return ["sh", "-c", f'ulimit {which} -n {number}; exec "$@"', "sh"]


def forget_links() -> None:
    """Have the next start import what encodes a dyno's network."""
    if os.path.exists("/run/hsup/libcontainer/links.json"):
        os.unlink("/run/hsup/libcontainer/links.json")


def is_told(said: str) -> bool:
    """Tell whether each line is a sentence, and one of them says what to do."""
    assert not re.search(r"Traceback|Errno|Error:|Exception|Warning: corout", said), said
    return REMEDY in said


@pytest.mark.parametrize("which", ["", "-S"])
@pytest.mark.parametrize("number", LIMITS)
def test_a_start_runs_its_dyno_or_says_what_it_lacks(hsup: Hsup, number: int, which: str) -> None:
    hsup.procfile(one="echo done")
    forget_links()
    done = hsup.call("start", "--oneshot", prefix=limited(number, which))
    said = done.text + done.message
    if is_told(said):
        assert done.status in {1, 255}
        assert number < 40
    else:
        assert (done.status, "done" in done.text) == (0, True), said


@pytest.mark.parametrize("number", [16, 20, 24, 64])
def test_on_a_terminal_many_dynos_are_started_or_it_is_said_what_is_lacking(
    hsup: Hsup, terminal: Callable[..., Terminal], number: int
) -> None:
    hsup.procfile(**{f"type{count}": "echo done" for count in range(12)})  # each keeps its ports
    forget_links()
    screen = terminal(argv=[*limited(number), *hsup.words("start", "--oneshot")])
    status = screen.ended()
    if is_told(screen.seen):
        # What it could not take away is taken away by the next.
        assert hsup.call("run", "true").status == 0
    else:
        assert (status, "done" in screen.seen) == (0, True), screen.seen


def test_more_dynos_start_than_the_soft_limit_has_files_for_together(hsup: Hsup) -> None:
    hsup.procfile(worker="echo done")
    done = hsup.call("start", "--oneshot", "worker=30", prefix=limited(24, "-S"))
    assert done.status == 0
    assert len(re.findall(r"app\[worker\.\d+\]: done$", done.text, re.MULTILINE)) == 30


@pytest.mark.parametrize("which", ["", "-S"])
@pytest.mark.parametrize("number", LIMITS)
def test_a_run_runs_its_command_or_says_what_it_lacks(hsup: Hsup, number: int, which: str) -> None:
    hsup.procfile(one="true")
    forget_links()
    done = hsup.call("run", "echo done", prefix=limited(number, which))
    if is_told(done.message):
        assert done.status == 1
        assert number < 40
        # What it could not take away is taken away by the next.
        assert hsup.call("run", "true").status == 0
    else:
        assert (done.status, done.text, done.message) == (0, "done\n", "")


@pytest.mark.parametrize("number", [16, 24])
def test_that_the_limit_is_lowered_costs_no_dyno_and_no_end(hsup: Hsup, number: int) -> None:
    hsup.procfile(web=hsup.born, worker=hsup.born)
    running = hsup.start("web=2", "worker")
    running.wait_for("born$", count=3)
    hsup.sleepers(3)
    (worker,) = [one for one in hsup.inside("worker.1") if one in hsup.sleepers(3)]
    _, hard = resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE, (number, hard))
    os.kill(worker, signal.SIGKILL)
    running.wait_for(r"heroku\[worker\.1\]: Error R99 \(Platform error\) -> ", count=2)
    running.wait_for(rf"hsup\[worker\.1\]: Cannot start: .*{re.escape(REMEDY)}$", count=2)
    assert len(hsup.sleepers(2)) == 2
    resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE, (hard, hard))
    running.wait_for("born$", count=4)
    resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE, (number, hard))
    assert running.stop() == 0
    assert running.count("Process exited with status 143") == 3
    is_told(running.said)


def test_at_the_limit_of_open_files_a_release_that_scales_down_is_taken(hsup: Hsup) -> None:
    hsup.procfile(web=hsup.born)
    hsup.files({"app.json": '{"formation": {"web": {"quantity": 40}}}'})
    running = hsup.begin("start", "--quantities", "release", prefix=limited(64))
    running.wait_for(rf"Cannot start: .*{re.escape(REMEDY)}$")
    replace(hsup.directory / "app.json", '{"formation": {"web": {"quantity": 1}}}')
    running.wait_for("Process exited with status 143")
    assert eventually(lambda: len(hsup.sleepers()) == 1), hsup.processes()
    assert running.stop() == 0
    assert is_told(running.said)


def test_dynos_start_under_a_hard_limit_that_was_lowered(hsup: Hsup) -> None:
    hsup.procfile(worker=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    (worker,) = hsup.sleepers()
    resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE, (200, 200))
    os.kill(worker, signal.SIGKILL)
    running.wait_for("born$", count=2)
    assert running.stop() == 0


def test_what_can_hardly_open_a_file_ends_its_dynos_all_the_same(hsup: Hsup) -> None:
    hsup.procfile(web=hsup.born)
    running = hsup.start("web=2")
    running.wait_for("born$", count=2)
    hsup.sleepers(2)
    _, hard = resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(running.child.pid, resource.RLIMIT_NOFILE, (6, hard))
    running.send(signal.SIGTERM)
    running.ended()
    assert eventually(lambda: not hsup.processes()), hsup.processes()
    assert hsup.call("run", "true").status == 0  # takes away what could not be
