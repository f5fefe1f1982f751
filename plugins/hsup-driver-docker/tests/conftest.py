"""A stack for tests, as an image on the engine: this machine's bash and coreutils.

What needs an engine is skipped where there is none; `make test` has one.
"""

from __future__ import annotations

import fcntl
import io
import os
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import docker
import pytest

from hsup.api import Settings
from hsup.errors import DriverError
from hsup.model import Release
from hsup_driver_docker.driver import DockerDriver
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection
from hsup_driver_docker.engine.endpoint import find

#: What an engine takes at most to remove a container that was run to its end.
_REMOVED_SECONDS = 5.0
PROGRAMS = """
    bash cat chmod env false grep head id ln ls mkdir nproc printenv printf pwd seq setsid sh
    sleep stat stty tail touch tr true tty wc whoami yes
"""


def _libraries(program: str) -> set[str]:
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return {word for word in listing.split() if word.startswith("/")}


def pack(programs: str) -> bytes:
    """Return a tar archive of programs with their libraries."""
    paths = [
        path for name in programs.split() if (path := shutil.which(name, path="/usr/bin:/bin"))
    ]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        for path in paths:
            archive.add(path, f"usr/bin/{os.path.basename(path)}")
        for library in {one for path in paths for one in _libraries(path)}:
            archive.add(library, library.lstrip("/"))
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        archive.addfile(link)
        users = b"root:x:0:0:root:/root:/bin/bash\nother:x:3000:3000::/:/bin/sh\n"
        member = tarfile.TarInfo("etc/passwd")
        member.size = len(users)
        archive.addfile(member, io.BytesIO(users))
        archive.addfile(_directory("tmp", 0o1777))
    return packed.getvalue()


def _directory(name: str, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, mode
    return member


@pytest.fixture
def root_archive() -> Callable[..., bytes]:
    """A maker of the archive of an image, from a line with names of programs."""
    return lambda programs=PROGRAMS: pack(programs)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """The engine of this machine."""
    engine = Engine(Connection(find(os.environ)))
    try:
        engine.version()
    except DriverError as error:
        pytest.skip(str(error))
    return engine


@pytest.fixture(autouse=True)
def _alone(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Run the tests with the engine one by one, as they look at all of its containers."""
    if "engine" not in request.fixturenames:
        yield
        return
    with open(tmp_path_factory.getbasetemp().parent / "engine.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def connected(engine: Engine) -> Iterator[docker.APIClient]:
    """Yield Docker's SDK, which keeps connections until it is closed."""
    with closing(docker.APIClient(base_url=engine.endpoint.address, version="auto")) as client:
        yield client


@pytest.fixture
def sdk(engine: Engine) -> Iterator[docker.APIClient]:
    """Docker's SDK, for requests that only tests send."""
    with connected(engine) as client:
        yield client


@pytest.fixture(scope="session")
def stack(engine: Engine) -> Iterator[str]:
    """The name of an image with programs for tests; it and images built on it are removed."""
    name = f"hsup-test-{secrets.token_hex(4)}"
    change = ["ENV LANG=nowhere", 'ENTRYPOINT ["/bin/false"]']
    with connected(engine) as sdk:
        sdk.import_image_from_data(pack(PROGRAMS), repository=name, tag="1", changes=change)
    yield f"{name}:1"
    with connected(engine) as sdk:
        for image in sdk.images(filters={"label": f"hsup.image.stack={name}"}):
            sdk.remove_image(image["Id"], force=True)
        sdk.remove_image(f"{name}:1", force=True)


@pytest.fixture
def environ(stack: str, engine: Engine, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Environment variables for a driver of its own; fail if it leaves a container."""
    named = {name: os.environ[name] for name in ("DOCKER_HOST", "HOME") if name in os.environ}
    yield {
        **named,
        "PATH": os.environ["PATH"],
        "DOCKER_STACKS": f"{stack.partition(':')[0]}={stack}",
        "HSUP_DOCKER_DIR": str(tmp_path / "docker"),
        "HSUP_SLUGS_DIR": str(tmp_path / "slugs"),
        "HEROKU_ACCESS_TOKEN": "secret",
    }
    registries = {one.read_text() for one in tmp_path.glob("docker/*/household")}
    deadline = time.monotonic() + _REMOVED_SECONDS
    left = _containers(engine, registries)
    while left and "running" not in left.values() and time.monotonic() < deadline:
        time.sleep(0.05)
        left = _containers(engine, registries)
    for one in left:
        engine.remove(one)
    assert not left


def _containers(engine: Engine, registries: Container[str]) -> dict[str, str]:
    """Return the states of all containers of hsups, by id."""
    return {
        one["Id"]: one["State"]
        for one in engine.containers("hsup.owner")
        if one["Labels"]["hsup.owner"].partition("/")[0] in registries
    }


@pytest.fixture
def settings(environ: Mapping[str, str], tmp_path: Path) -> Settings:
    return Settings(directory=str(tmp_path), environ=environ)


@pytest.fixture
def release(stack: str) -> Release:
    app = f"test-{secrets.token_hex(4)}"  # tests run side by side on one engine
    return Release(app=app, version=3, stack=stack.partition(":")[0])


@pytest.fixture
def driver(settings: Settings, release: Release) -> Iterator[DockerDriver]:
    with closing(DockerDriver(settings)) as driver:
        driver.build(release)
        yield driver
