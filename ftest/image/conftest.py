"""The image under test, and that nothing of a container stays behind."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftest import leftovers
from ftest.image.engine import Engine
from ftest.terminal import Terminal


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Give the engine; remove the containers, and fail if something is left of them."""
    before = leftovers.taken()
    name = f"ftest-{random.randrange(1 << 32):x}"
    containers = Engine(request.config.getoption("--image"), name)
    yield containers
    assert not containers.remove_all()
    assert not leftovers.since(before)


@pytest.fixture
def terminal(engine: Engine, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Run hsup in a container with a terminal."""
    opened = []

    def open_terminal(*hsup: str, **size: int) -> Terminal:
        line = ["docker", *engine.words(*hsup, more=("--rm", "-it"))]
        opened.append(Terminal(line, tmp_path, os.environ, **size))
        return opened[-1]

    yield open_terminal
    for one in opened:
        one.close()


@pytest.fixture
def control(tmp_path: Path) -> Control:
    """Give a control directory on the host, and what puts releases there."""
    return Control(tmp_path / "control")


class Control:
    """A control directory, which containers have as a volume."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.volume = ("--volume", f"{directory}:/etc/hsup")
        directory.mkdir()

    def put(self, name: str, line: str, *, version: int = 1) -> None:
        """Write a release, whose only dyno runs a line for the shell."""
        process = {"Type": "one", "Quantity": 1, "Args": [line]}
        written = self.directory / "written"
        written.write_text(json.dumps({"Version": version, "Processes": [process]}))
        written.rename(self.directory / name)
