from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hsup.errors import DriverError
from hsup_driver_docker.containers.instances import InstanceRegistry

ENGINE = "unix:///x.sock"

DIE = """
import os, sys
from hsup_driver_docker.containers.instances import InstanceRegistry
print(InstanceRegistry({"HSUP_DOCKER_DIR": sys.argv[1]}, "unix:///x.sock").owner, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def registry(environ: Mapping[str, str]) -> Iterator[Callable[..., InstanceRegistry]]:
    """Return a maker of registries, which are closed at the end."""
    made = []

    def make(engine: str = ENGINE) -> InstanceRegistry:
        made.append(InstanceRegistry(environ, engine))
        return made[-1]

    yield make
    for one in made:
        one.leave(set())


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HSUP_DOCKER_DIR": str(tmp_path / "docker")}


def dead(environ: Mapping[str, str]) -> str:
    """Return the owner of the containers of an hsup that was killed."""
    words = [sys.executable, "-c", DIE, environ["HSUP_DOCKER_DIR"]]
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()


def test_hsups_of_a_directory_have_one_registry_and_each_an_id_of_its_own(
    registry: Callable[..., InstanceRegistry],
) -> None:
    one, other = registry(), registry()
    assert one.id == other.id
    assert one.instance != other.instance


def test_what_a_living_hsup_has_is_not_inherited(registry: Callable[..., InstanceRegistry]) -> None:
    one, other = registry(), registry()
    assert not one.adopt(other.owner)
    assert not one.adopt(one.owner)


def test_what_a_dead_hsup_had_is_inherited_by_one(
    environ: dict[str, str], registry: Callable[..., InstanceRegistry]
) -> None:
    owner = dead(environ)
    one, other = registry(), registry()
    assert one.adopt(owner)
    assert one.adopt(owner)
    assert not other.adopt(owner)


def test_what_was_inherited_and_stays_is_inherited_again(
    environ: dict[str, str], registry: Callable[..., InstanceRegistry]
) -> None:
    owner = dead(environ)
    one = registry()
    assert one.adopt(owner)
    one.leave({owner})
    assert registry().adopt(owner)


def test_what_was_given_up_is_inherited_by_another(
    environ: dict[str, str], registry: Callable[..., InstanceRegistry]
) -> None:
    owner = dead(environ)
    one, other = registry(), registry()
    assert one.adopt(owner)
    one.give_up(owner, has_containers=True)
    assert other.adopt(owner)
    other.give_up(owner, has_containers=False)
    assert owner not in one.owners


def test_hsups_of_another_engine_are_another_registry(
    registry: Callable[..., InstanceRegistry],
) -> None:
    assert registry().id != registry("tcp://10.0.0.1:2375").id


def test_one_that_has_left_is_told_from_those_that_are_dead_or_alive(
    environ: dict[str, str], registry: Callable[..., InstanceRegistry]
) -> None:
    one, other = registry(), registry()
    owners = [one.owner, other.owner, dead(environ)]
    assert not any(one.has_left(owner) for owner in owners)
    other.leave(set())
    assert one.has_left(other.owner)
    assert not one.adopt(other.owner)
    assert one.adopt(other.owner, lost=True)


@pytest.mark.parametrize("owner", ["", "other/0123456789ab", "{id}/", "{id}/../../etc/passwd"])
def test_what_is_not_of_this_registry_is_nobodys_business(
    registry: Callable[..., InstanceRegistry], owner: str
) -> None:
    one = registry()
    assert not one.adopt(owner.format(id=one.id))
    assert not one.has_left(owner.format(id=one.id))


def test_nothing_is_left_of_one_that_has_left(registry: Callable[..., InstanceRegistry]) -> None:
    one = registry()
    one.leave(set())
    assert os.listdir(f"{one.directory}/instances") == []


def test_what_a_killed_hsup_had_half_forgotten_is_removed_by_the_next(
    registry: Callable[..., InstanceRegistry],
) -> None:
    going = Path(registry().directory) / "0123456789ab.going"
    going.mkdir()
    (going / "lock").touch()
    registry()
    assert not going.exists()


def test_a_directory_that_cannot_be_written_is_an_error_that_says_what_to_set(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DriverError, match=r"cannot write to the directory .*; set HSUP_DOCKER_DIR"):
        InstanceRegistry({"HSUP_DOCKER_DIR": str(tmp_path / "file/docker")}, ENGINE)
