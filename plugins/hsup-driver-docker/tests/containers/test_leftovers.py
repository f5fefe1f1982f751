"""Which containers are removed and which are kept; they are in the memory of the test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import pytest

from hsup_driver_docker.containers.instances import InstanceRegistry
from hsup_driver_docker.containers.leftovers import Leftovers
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import EngineError
from hsup_driver_docker.labels import APP, NAME, OWNER, SPEC


class Containers:
    """The containers of an engine, by id."""

    def __init__(self) -> None:
        self.listed: dict[str, Mapping[str, Any]] = {}
        self.discarded: list[str] = []
        self.is_stuck = False

    def add(
        self, identity: str, owner: str, *, spec: str = "", app: str = "shop", name: str = ""
    ) -> None:
        """Add a dyno that runs if it has the fingerprint of a spec, else one that has ended."""
        labels = {OWNER: owner, NAME: f"hsup-{identity}", APP: app}
        if spec:
            labels[SPEC] = spec
        self.listed[identity] = {
            "Id": identity,
            "Names": [f"/{name or f'hsup-{identity}'}"],
            "Labels": labels,
            "State": "running" if spec else "exited",
        }

    def containers(self, label: str) -> list[Mapping[str, Any]]:
        return [one for one in self.listed.values() if label in one["Labels"]]

    def remove(self, identity: str) -> None:
        if self.is_stuck:
            raise EngineError("it is stuck", status=500)
        del self.listed[identity]

    def discard(self, identity: str) -> None:
        self.discarded.append(identity)
        self.remove(identity)

    @property
    def left(self) -> set[str]:
        return {*self.listed}


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], InstanceRegistry]]:
    """Return a maker of registries of one directory, each of an hsup of its own."""
    environ = {"HSUP_DOCKER_DIR": str(tmp_path_factory.mktemp("docker"))}
    made: list[InstanceRegistry] = []

    def make() -> InstanceRegistry:
        made.append(InstanceRegistry(environ, "unix:///x.sock"))
        return made[-1]

    yield make
    for one in made:
        one.leave(set())


@pytest.fixture
def own(registry: Callable[[], InstanceRegistry]) -> InstanceRegistry:
    return registry()


@pytest.fixture
def dead(registry: Callable[[], InstanceRegistry]) -> str:
    """Return the owner of the containers of an hsup that did not remove them."""
    one = registry()
    one.leave({one.owner})
    return one.owner


@pytest.fixture
def containers() -> Containers:
    return Containers()


@pytest.fixture
def leftovers(containers: Containers, own: InstanceRegistry) -> Leftovers:
    return Leftovers(cast(Engine, containers), own)


def test_what_a_previous_hsup_left_is_removed_but_for_dynos_that_run(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    containers.add("ended", dead)
    containers.add("runs", dead, spec="f1")
    assert leftovers.sweep() == ["the container hsup-ended"]
    assert containers.left == {"runs"}
    assert leftovers.owners() == {dead}


def test_nothing_of_a_running_hsup_or_of_another_household_is_removed(
    leftovers: Leftovers,
    containers: Containers,
    own: InstanceRegistry,
    registry: Callable[[], InstanceRegistry],
) -> None:
    for number, owner in enumerate((own.owner, registry().owner, "other/0123456789ab")):
        containers.add(f"ended{number}", owner)
        containers.add(f"runs{number}", owner, spec="f1")
    before = containers.left
    assert leftovers.sweep() == []
    assert leftovers.keep_only("shop", []) == []
    assert containers.left == before


def test_a_container_that_has_only_copied_the_labels_is_left_alone(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    containers.add("copied", dead, name="somebody's")
    assert leftovers.sweep() == []
    assert leftovers.owners() == set()
    assert containers.left == {"copied"}


def test_a_previous_hsup_without_containers_is_forgotten(
    leftovers: Leftovers, containers: Containers, own: InstanceRegistry, dead: str
) -> None:
    containers.add("ended", dead)
    assert own.owners == [dead]
    leftovers.sweep()
    assert own.owners == []
    assert not own.has_adopted


def test_a_previous_hsup_whose_dynos_run_can_be_inherited_by_another_one(
    leftovers: Leftovers,
    containers: Containers,
    registry: Callable[[], InstanceRegistry],
    dead: str,
) -> None:
    containers.add("ended", dead)
    containers.add("runs", dead, spec="f1")
    leftovers.sweep()
    assert registry().adopt(dead)


@pytest.mark.parametrize("is_stuck", [False, True])
def test_what_an_hsup_that_ended_in_order_could_not_remove_is_discarded_silently(
    leftovers: Leftovers,
    containers: Containers,
    registry: Callable[[], InstanceRegistry],
    is_stuck: bool,
) -> None:
    left = registry()
    left.leave(set())
    containers.add("ended", left.owner)
    containers.is_stuck = is_stuck
    assert leftovers.sweep() == []
    assert containers.discarded == ["ended"]
    assert containers.left == ({"ended"} if is_stuck else set())


def test_one_dyno_of_each_fingerprint_is_kept_to_be_adopted(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    for identity, spec in (("one", "f1"), ("two", "f1"), ("three", "f2"), ("four", "f3")):
        containers.add(identity, dead, spec=spec)
    removed = leftovers.keep_only("shop", ["f1", "f2", "f9"])
    assert sorted(removed) == ["the container hsup-four", "the container hsup-two"]
    assert containers.left == {"one", "three"}
    assert leftovers.find("f1") == ("one", "hsup-one", dead)
    assert leftovers.find("f2") == ("three", "hsup-three", dead)
    assert leftovers.find("f3") is None
    assert leftovers.find("f9") is None


def test_what_is_kept_again_is_the_same_one_also_after_a_call_that_failed(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    for identity in ("one", "two"):
        containers.add(identity, dead, spec="f1")
    containers.is_stuck = True
    with pytest.raises(EngineError, match="stuck"):
        leftovers.keep_only("shop", ["f1"])
    containers.is_stuck = False
    containers.listed = dict(reversed(containers.listed.items()))
    assert leftovers.keep_only("shop", ["f1"]) == ["the container hsup-two"]
    assert leftovers.keep_only("shop", ["f1"]) == []
    assert leftovers.find("f1") == ("one", "hsup-one", dead)


def test_what_is_not_kept_any_more_is_removed_and_its_hsup_forgotten(
    leftovers: Leftovers, containers: Containers, own: InstanceRegistry, dead: str
) -> None:
    containers.add("one", dead, spec="f1")
    leftovers.keep_only("shop", ["f1"])
    assert own.has_adopted
    assert leftovers.keep_only("shop", ["f2"]) == ["the container hsup-one"]
    assert leftovers.find("f1") is None
    assert own.owners == []
    assert not own.has_adopted


def test_dynos_of_another_application_are_left_for_others(
    leftovers: Leftovers, containers: Containers, own: InstanceRegistry, dead: str
) -> None:
    containers.add("one", dead, spec="f1")
    containers.add("blog", dead, spec="f1", app="blog")
    leftovers.keep_only("shop", [])
    assert containers.left == {"blog"}
    assert own.owners == [dead]
    assert not own.has_adopted


def test_a_dyno_that_was_adopted_is_not_found_again(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    containers.add("one", dead, spec="f1")
    leftovers.keep_only("shop", ["f1"])
    leftovers.forget("f1")
    assert leftovers.find("f1") is None


def test_many_are_removed_also_where_no_thread_may_be_had(
    leftovers: Leftovers, containers: Containers, dead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(25):
        containers.add(str(number), dead)
    assert len(leftovers.sweep()) == 25
    assert containers.left == set()


def test_many_are_removed_at_a_time(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    for number in range(25):
        containers.add(str(number), dead)
    assert len(leftovers.sweep()) == 25
    assert containers.left == set()


def test_an_engine_that_cannot_remove_is_an_error(
    leftovers: Leftovers, containers: Containers, dead: str
) -> None:
    containers.add("ended", dead)
    containers.is_stuck = True
    with pytest.raises(EngineError, match="stuck"):
        leftovers.sweep()
