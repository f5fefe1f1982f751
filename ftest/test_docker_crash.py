"""A killed hsup's containers keep serving; the next hsup takes them over, or removes them."""

from __future__ import annotations

import random
import time
import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest

from ftest import docker_engine, leftovers
from ftest.program import PATIENCE, Hsup, Running, eventually, process

COUNT = "i=0; while :; do i=$((i+1)); echo number $i; sleep 0.01; done"
SERVE = "exec python3 -u -m http.server $PORT"


@pytest.fixture(autouse=True)
def _nothing_stays(hsup: Hsup) -> Iterator[None]:
    """Have the next hsup remove what a failed test has left."""
    yield
    for running in hsup.started:
        if running.child.poll() is None:
            running.child.kill()
            running.child.wait()
    hsup.environ.pop("HSUP_CONTROL_DIR", None)
    hsup.procfile(one="true")
    assert hsup.call("start", "--oneshot").status == 0


def kill(running: Running) -> None:
    running.child.kill()
    running.child.wait()


def has_counted(running: Running, least: int) -> bool:
    return len(numbers(running)) > least


def numbers(running: Running) -> list[int]:
    lines = [line for line in running.out.splitlines() if "]: number " in line]
    return [int(line.split()[-1]) for line in lines]


def test_dynos_are_taken_over_and_nothing_that_they_wrote_is_lost(hsup: Hsup) -> None:
    hsup.procfile(web=SERVE, one=COUNT)
    first = hsup.start()
    first.wait_for("number 50$")
    first.wait_for("Serving HTTP")
    url = f"http://{hsup.place('web.1', 5000)}/"
    kill(first)
    assert urllib.request.urlopen(url, timeout=5).status == 200
    containers = docker_engine.containers()
    second = hsup.start()
    second.wait_for(r"hsup\[web\.1\]: Adopted a process left running by a previous hsup$")
    second.wait_for(r"hsup\[one\.1\]: Adopted a process left running by a previous hsup$")
    assert eventually(lambda: max(numbers(second), default=0) > max(numbers(first)) + 50)
    assert second.count("Starting process") == 0
    assert docker_engine.containers() == containers
    assert urllib.request.urlopen(url, timeout=5).status == 200
    assert second.stop() == 0
    assert second.count("Process exited with status 143") == 2
    said = numbers(first) + numbers(second)
    assert sorted(set(said)) == list(range(1, max(said) + 1))
    assert numbers(second)[0] > 1  # only what was written at the moment of the kill is repeated
    assert numbers(second) == sorted(numbers(second))


def test_what_was_taken_over_twice_is_still_whole(hsup: Hsup) -> None:
    hsup.procfile(one=COUNT)
    said: list[int] = []
    for _ in range(3):
        running = hsup.start()
        assert eventually(partial(has_counted, running, 50))
        kill(running)
        running.close()
        said += numbers(running)
    assert sorted(set(said)) == list(range(1, max(said) + 1))


def test_what_the_next_hsup_does_not_want_is_removed(hsup: Hsup) -> None:
    hsup.release(Processes=[process("one", hsup.born), process("two", hsup.born)])
    first = hsup.start("one=2", "two")
    first.wait_for("born$", count=3)
    kill(first)
    changed = process("two", f"echo changed; exec {hsup.sleep}")
    hsup.release(Processes=[process("one", hsup.born), changed])
    second = hsup.start()
    second.wait_for("changed$")
    second.wait_for(r"one\.1\]: Adopted")
    assert second.count("Removed a leftover of a previous hsup: the container hsup-.*-one.2-") == 1
    assert second.count("Removed a leftover of a previous hsup: the container hsup-.*-two.1-") == 1
    assert second.count(r"heroku\[one\.1\]: Starting process") == 0
    assert len(docker_engine.containers()) == 2
    assert second.stop() == 0


def test_a_run_leaves_the_dynos_of_a_dead_hsup_running(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    first = hsup.start()
    first.wait_for("born$")
    kill(first)
    assert hsup.call("run", "echo beside").text == "beside\n"
    second = hsup.start()
    second.wait_for("Adopted a process")
    assert second.stop() == 0


def test_the_container_of_a_killed_run_is_removed_by_the_next(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    running = hsup.begin("run", hsup.born)
    running.wait_for("born$")
    kill(running)
    done = hsup.call("run", "true")
    assert "hsup: removed a leftover of a previous hsup: the container hsup-" in done.message
    assert eventually(lambda: docker_engine.containers() == set())


def test_what_the_engine_has_not_yet_removed_is_nothing_that_a_dead_hsup_left(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    row = '"$@"; "$@"; "$@"; "$@"'  # each comes while the others' containers are being removed
    done = hsup.call("run", "true", prefix=("sh", "-c", f"({row}) & ({row}) & wait", "sh"))
    assert "removed" not in done.message
    assert eventually(lambda: docker_engine.containers() == set())


def test_the_next_start_leaves_what_belongs_to_a_living_hsup(
    hsup: Hsup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = hsup.another(tmp_path_factory.mktemp("other"))
    for one in (hsup, other):
        one.procfile(one=one.born)
    living = hsup.start("one=2")
    living.wait_for("born$", count=2)
    dying = other.start("one=2")
    dying.wait_for("born$", count=2)
    kill(dying)
    dying.close()
    other.procfile(one="true")
    assert other.call("start", "--oneshot").status == 0
    assert len(docker_engine.containers()) == 2
    assert living.stop() == 0
    assert living.count("born$") == 2


def test_kills_at_random_moments_leave_nothing_after_the_next_hsup(hsup: Hsup) -> None:
    before = leftovers.taken()
    hsup.procfile(one=hsup.born, two=COUNT)
    seed = random.randrange(1 << 32)
    delays = random.Random(seed)
    for _ in range(12):
        running = hsup.start("one=2", "two")
        time.sleep(delays.uniform(0, 1.5 * PATIENCE))  # the moment is the case
        kill(running)
        running.close()
    hsup.procfile(one="true")
    done = hsup.call("start", "--oneshot")
    assert done.status == 0, f"seed {seed}: {done}"
    assert not leftovers.since(before), f"seed {seed}"


def test_signals_at_random_moments_of_a_run_leave_nothing(hsup: Hsup) -> None:
    before = leftovers.taken()
    hsup.procfile(one="true")
    seed = random.randrange(1 << 32)
    delays = random.Random(seed)
    for number in (15, 2) * 6:
        running = hsup.begin("run", "sleep 0.05")
        time.sleep(delays.uniform(0, 0.6 * PATIENCE))  # the moment is the case
        running.send(number)
        running.ended()
    hsup.call("run", "true")
    assert not leftovers.since(before), f"seed {seed}"
