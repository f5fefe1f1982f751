"""Containers of hsup's image, as a user has them: by the docker command."""

from __future__ import annotations

import glob
import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ftest.program import PATIENCE, Finished, eventually

_CGROUPS = Path("/sys/fs/cgroup")


def docker(*words: object, timeout: float = 60.0, check: bool = False) -> Finished:
    done = subprocess.run(
        ["docker", *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout * PATIENCE,
        check=check,
    )
    return Finished(status=done.returncode, out=done.stdout, err=done.stderr)


class Engine:
    """The engine, with containers of one test's own.

    `PRIVILEGED` is what the libcontainer driver needs.
    """

    PRIVILEGED = ("--privileged",)

    def __init__(self, image: str, name: str) -> None:
        self.image = image
        self._name = name
        self._containers: list[str] = []

    def words(
        self, *hsup: str, options: Sequence[str] = PRIVILEGED, more: Sequence[object] = ()
    ) -> list[str]:
        """Return the argv of a container, whose name is noted."""
        name = f"{self._name}-{len(self._containers)}"
        self._containers.append(name)
        return ["run", "--name", name, *options, *map(str, more), self.image, *hsup]

    def run(
        self,
        *hsup: str,
        options: Sequence[str] = PRIVILEGED,
        more: Sequence[object] = (),
        timeout: float = 60.0,
    ) -> Finished:
        """Run a container to its end."""
        return docker(*self.words(*hsup, options=options, more=more), timeout=timeout)

    def start(
        self, *hsup: str, options: Sequence[str] = PRIVILEGED, more: Sequence[object] = ()
    ) -> Container:
        """Start a container beside the test."""
        words = self.words(*hsup, options=options, more=("--detach", *more))
        docker(*words, check=True)
        return Container(words[2])

    def remove_all(self) -> list[str]:
        """Remove the containers of the test, and return what of them is left on the host."""
        ids = [found for name in self._containers if (found := Container(name).id)]
        docker("rm", "--force", "--volumes", *self._containers)
        return [one for id_ in ids for one in glob.glob(f"{_CGROUPS}/**/*{id_}*", recursive=True)]


class Container:
    """A container that was started."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def id(self) -> str:
        return docker("inspect", "-f", "{{.Id}}", self.name).text.strip()

    @property
    def gateway(self) -> str:
        """Return the address of the host in a running container's network."""
        form = "{{.NetworkSettings.Gateway}}"
        return docker("inspect", "-f", form, self.name, check=True).text.strip()

    @property
    def status(self) -> int:
        """Return the exit status of one that has ended."""
        state = json.loads(docker("inspect", "-f", "{{json .State}}", self.name, check=True).out)
        assert not state["Running"]
        return state["ExitCode"]

    @property
    def said(self) -> str:
        done = docker("logs", self.name, check=True)
        return done.text + done.message

    def wait_for(self, text: str, count: int = 1, timeout: float = 30.0) -> None:
        assert eventually(lambda: self.said.count(text) >= count, timeout), self.said

    def stop(self) -> None:
        """Stop it as a user does: Docker kills what has not ended in 10 s, see the status."""
        docker("stop", self.name, check=True)
