"""The end of a container: in time, with an honest status, and without leftovers."""

from __future__ import annotations

from ftest.image.conftest import Control
from ftest.image.engine import Engine, docker


def test_docker_stop_ends_dynos_in_order(engine: Engine, control: Control) -> None:
    control.put("loaded", "trap 'echo ending; exit 0' TERM; echo born; while :; do sleep 0.1; done")
    container = engine.start("start", more=control.volume)
    container.wait_for("app[one.1]: born")
    container.stop()
    assert container.status == 0, container.said
    assert "app[one.1]: ending" in container.said


def test_docker_stop_ends_a_stubborn_dyno_in_time(engine: Engine, control: Control) -> None:
    control.put("loaded", "trap '' TERM; echo born; while :; do sleep 0.1; done")
    container = engine.start("start", more=control.volume)
    container.wait_for("app[one.1]: born")
    container.stop()
    assert container.status == 1, container.said  # hsup's own, and not 137 after Docker's patience
    assert "SIGKILL" in container.said


def test_docker_stop_reaches_the_command_of_run(engine: Engine) -> None:
    container = engine.start("run", "trap 'exit 9' TERM; echo born; while :; do sleep 0.1; done")
    container.wait_for("born")
    container.stop()
    assert container.status == 9


def test_docker_stop_is_heard_while_hsup_still_starts(engine: Engine) -> None:
    container = engine.start("start")
    container.stop()
    assert container.status in {0, 128 + 15}, container.said


def test_a_container_that_was_killed_starts_again(engine: Engine, control: Control) -> None:
    control.put("loaded", "echo born; exec sleep 1000")
    container = engine.start("start", more=control.volume)
    container.wait_for("born")
    docker("kill", container.name, check=True)
    assert container.status == 128 + 9
    docker("start", container.name, check=True)
    container.wait_for("born", count=2)
    container.stop()
    assert container.status == 0


def test_killing_hsup_in_a_container_ends_it_and_its_dynos(
    engine: Engine, control: Control
) -> None:
    control.put("loaded", "echo born; exec sleep 1000")
    container = engine.start("start", more=control.volume)
    container.wait_for("born")
    kill = "for one in /proc/[0-9]*; do case $(tr '\\0' ' ' <$one/cmdline) in"
    kill += " *bin/hsup\\ start*) kill -9 ${one#/proc/};; esac; done"
    docker("exec", container.name, "sh", "-c", kill)
    assert docker("wait", container.name).text.strip() == "137"


def test_orphans_of_the_simple_driver_are_reaped(engine: Engine, control: Control) -> None:
    control.put("loaded", "(sleep 0.1 & ) ; echo born; exec sleep 1000")
    container = engine.start("start", "-d", "simple", options=(), more=control.volume)
    container.wait_for("born")
    count = "sleep 1; grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l"
    assert docker("exec", container.name, "sh", "-c", count).text == "0\n"
    container.stop()
    assert container.status == 0, container.said
