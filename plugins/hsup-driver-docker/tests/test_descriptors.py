"""No descriptor is left open if the next one cannot be opened."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest

from hsup.model import Command, DynoName, DynoSpec
from hsup_driver_docker.containers.handle import Handle
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection
from hsup_driver_docker.engine.endpoint import find
from hsup_driver_docker.execution import execute
from hsup_driver_docker.images.image import Image
from hsup_driver_docker.relay import Outputs

#: No process has so many descriptors: it cannot be duplicated (EBADF).
NONE = 1 << 30
COMMAND = Command(("true",))


def opened() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def test_a_command_whose_last_stream_cannot_be_duplicated_leaves_none_open() -> None:
    engine = Engine(Connection(find({"DOCKER_HOST": "unix:///none"})))
    spec = DynoSpec(DynoName("web", 1), COMMAND, app="shop", release_version=1, config={})
    handle = Handle(engine, "c1", "hsup-shop-web.1", spec, Image("i1"))
    before = opened()
    with pytest.raises(OSError, match="Bad file descriptor"):
        asyncio.run(execute(handle, COMMAND, (0, 1, NONE)))
    assert opened() == before


def test_outputs_of_which_the_last_cannot_be_duplicated_leave_none_open() -> None:
    before = opened()
    with pytest.raises(OSError, match="Bad file descriptor"):
        Outputs(SimpleNamespace(stdout=1, stderr=NONE), None)
    assert opened() == before
