"""The containers of previous hsups: some are adopted, the others removed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from hsup_driver_docker.containers.instances import InstanceRegistry
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import EngineError
from hsup_driver_docker.labels import APP, NAME, OWNER, SPEC

#: How many containers are removed at a time.
_AT_ONCE = 10

_Listed = Mapping[str, Any]


class Leftovers:
    """The leftovers of previous hsups of this registry. All methods block."""

    def __init__(self, engine: Engine, instances: InstanceRegistry) -> None:
        self._engine = engine
        self._instances = instances
        self._kept: dict[str, _Listed] = {}

    def sweep(self) -> list[str]:
        """Remove containers that cannot be adopted; describe those that a previous hsup left."""
        by_owner = self._by_owner()
        removed = []
        for owner in {*by_owner, *self._instances.owners}:
            containers = by_owner.get(owner, [])
            surplus = _without_dynos(containers)
            if self._instances.has_left(owner):
                self._discard(surplus)
            elif (surplus or not containers) and self._instances.adopt(owner):
                containers = self._by_owner().get(owner, [])  # as it may have made more
                surplus = _without_dynos(containers)
                removed += self._remove(surplus)
                has_dynos = len(surplus) < len(containers)
                self._instances.give_up(owner, has_containers=has_dynos)
        return removed

    def keep_only(self, app: str, fingerprints: Collection[str]) -> list[str]:
        """Remove an application's dynos, except for one of each fingerprint; describe them."""
        self._kept = {one: self._kept[one] for one in self._kept.keys() & set(fingerprints)}
        removed = []
        for owner, listed in self._by_owner().items():
            if not _dynos(listed, app) or not self._instances.adopt(owner, lost=True):
                continue
            containers = self._by_owner().get(owner, [])
            dynos = _dynos(containers, app)
            surplus = [one for one in dynos if not self._keep(one, fingerprints)]
            removed += self._remove(surplus)
            if len(surplus) == len(dynos):
                has_others = len(dynos) < len(containers)
                self._instances.give_up(owner, has_containers=has_others)
        return removed

    def find(self, fingerprint: str) -> tuple[str, str, str] | None:
        """Return id, name and owner of a container that was kept, None without one."""
        container = self._kept.get(fingerprint)
        if container is None:
            return None
        return container["Id"], _name(container), container["Labels"][OWNER]

    def forget(self, fingerprint: str) -> None:
        """Forget a container that was adopted, or has ended."""
        del self._kept[fingerprint]

    def owners(self) -> set[str]:
        """Return the owners of all containers."""
        return set(self._by_owner())

    def _keep(self, container: _Listed, fingerprints: Collection[str]) -> bool:
        fingerprint = container["Labels"][SPEC]
        known = self._kept.get(fingerprint, container)  # of an earlier call, which failed
        if fingerprint not in fingerprints or known["Id"] != container["Id"]:
            return False
        self._kept[fingerprint] = container
        return True

    def _by_owner(self) -> dict[str, list[_Listed]]:
        """Return the containers that hsups made, not those that copied their labels, by owner."""
        by_owner: dict[str, list[_Listed]] = {}
        for container in self._engine.containers(OWNER):
            if container["Labels"].get(NAME) == _name(container):
                by_owner.setdefault(container["Labels"][OWNER], []).append(container)
        return by_owner

    def _discard(self, surplus: Sequence[_Listed]) -> None:
        """Remove containers of an hsup that ended in order; most are already being removed."""
        for container in surplus:
            try:
                self._engine.discard(str(container["Id"]))
            except EngineError as error:
                import logging  # slow to import, and rarely needed

                logging.getLogger(__name__).info(
                    "cannot remove container %s: %s", _name(container), error
                )

    def _remove(self, surplus: Sequence[_Listed]) -> list[str]:
        if surplus:
            from concurrent.futures import ThreadPoolExecutor  # slow to import, rarely needed

            identities = [str(one["Id"]) for one in surplus]
            try:
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(self._engine.remove, identities))
            except RuntimeError:  # no thread can be started
                for identity in identities:
                    self._engine.remove(identity)
        return [f"the container {_name(one)}" for one in surplus]


def _dynos(containers: Iterable[_Listed], app: str) -> list[_Listed]:
    return [one for one in containers if _is_dyno(one) and one["Labels"][APP] == app]


def _without_dynos(containers: Iterable[_Listed]) -> list[_Listed]:
    return [one for one in containers if not _is_dyno(one)]


def _is_dyno(listed: _Listed) -> bool:
    """Tell whether a container is a running dyno, which can be adopted."""
    return listed["State"] == "running" and SPEC in listed["Labels"]


def _name(listed: _Listed) -> str:
    names: Sequence[str] = listed["Names"] or ["?"]
    return names[0].lstrip("/")
