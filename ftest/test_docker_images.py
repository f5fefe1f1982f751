"""Releases that are container images, and what hsup leaves of images among the engine's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftest.docker_engine import IMAGE, docker, images
from ftest.program import Hsup, eventually, process


@pytest.fixture
def own_image(hsup: Hsup) -> Iterator[str]:
    """Make an image with a command and an entry point, as `docker build` would; remove it."""
    name = f"hsup-ftest-own-{hsup.token.partition('.')[0]}"
    made = docker("create", IMAGE, "true").strip()
    settings = ["ENV FROM=image", "WORKDIR /usr", "USER nobody"]
    settings += ['ENTRYPOINT ["/usr/bin/env", "ENTERED=yes"]', 'CMD ["printenv", "ENTERED"]']
    changes = [word for one in settings for word in ("--change", one)]
    docker("commit", *changes, made, name)
    docker("rm", made)
    yield name
    users = ("ps", "--all", "--quiet", "--filter", f"ancestor={name}")
    assert eventually(lambda: not docker(*users))
    docker("rmi", name)


def test_a_release_that_is_an_image_runs_as_it_is(hsup: Hsup, own_image: str) -> None:
    line = "echo $FROM $NAME $ENTERED $DYNO; pwd; whoami"
    processes = [process("line", line), process("words", "echo", "a  b"), process("own")]
    hsup.release(Slug=f"docker://{own_image}", Env={"NAME": "value"}, Processes=processes)
    done = hsup.call("start", "--oneshot")
    assert done.status == 0, done
    for expected in (
        "app[line.1]: image value yes line.1\n",
        "app[line.1]: /usr\n",
        "app[line.1]: nobody\n",
        "app[words.1]: a  b\n",
        "app[own.1]: yes\n",
    ):
        assert expected in done.text
    assert hsup.call("run", "id -un; exit 3").text == "nobody\n"


def test_every_process_of_such_a_release_is_stopped(hsup: Hsup, own_image: str) -> None:
    line = f"(trap 'echo told; exit' TERM; {hsup.sleep} & echo ready; wait) & wait"
    hsup.release(Slug=f"docker://{own_image}", Processes=[process("one", line)])
    running = hsup.start()
    running.wait_for("ready$")
    hsup.sleepers()
    assert running.stop() == 0
    assert "app[one.1]: told\n" in running.out


def test_a_command_that_such_an_image_has_not_got_is_told(hsup: Hsup, own_image: str) -> None:
    hsup.release(Slug=f"docker://{own_image}", Processes=[process("one", "true")])
    assert hsup.call("run", "--", "/no/such/program", "x").status == 127


def test_the_images_of_an_application_are_few_and_those_of_others_stay(hsup: Hsup) -> None:
    foreign = set(docker("images", "--quiet", IMAGE).split())
    before = images()
    for number in range(5):
        hsup.slug(f"{number}.tgz", {"number": str(number)})
        hsup.release(Slug=f"{number}.tgz", Version=number, Processes=[process("one", "true")])
        assert hsup.call("run", "cat number").text == str(number)
    assert len(images() - before) == 3
    assert set(docker("images", "--quiet", IMAGE).split()) == foreign
    hsup.release(Slug="0.tgz", Version=9, Processes=[process("one", "true")])
    assert hsup.call("run", "cat number").text == "0"


def test_a_second_build_makes_nothing(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    assert hsup.call("build").status == 0
    before = images()
    done = hsup.call("build")
    assert done.status == 0
    assert ' for driver "docker"' in done.message
    assert images() == before
