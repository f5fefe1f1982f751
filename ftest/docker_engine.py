"""The Docker Engine that dynos run on, as the command line of Docker shows it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

IMAGE = "hsup-ftest-stack:latest"
#: What hsup labels its containers and its images with.
CONTAINERS, IMAGES = "hsup.owner", "hsup.image.app"

#: How a tool finds the engine: to be handed to hsup.
_FOUND_BY = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONTEXT")


def docker(*words: object, **options: Any) -> str:
    """Call the command line; return what it printed."""
    argv = ["docker", *map(str, words)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, **options)
    return str(done.stdout)


def problem() -> str | None:
    """Return why there is no engine, None if there is one."""
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "docker is not installed: apt-get install docker.io"
    return asked.stderr if asked.returncode else None


@cache
def is_there() -> bool:
    """Tell whether there was an engine when this was first asked."""
    return problem() is None


def variables(directory: Path, stack: Path, name: str) -> Iterator[dict[str, str]]:
    """Import the stack; yield the variables for hsup; remove the images that it built then.

    `stack` is its directory, and `name` what releases call it.
    """
    with subprocess.Popen(["tar", "-C", stack, "-c", "."], stdout=subprocess.PIPE) as archive:
        docker("import", "-", IMAGE, stdin=archive.stdout)
    before = images()
    yield {
        "DOCKER_STACKS": f"{name}={IMAGE} heroku-24={IMAGE}",
        "HSUP_DOCKER_DIR": str(directory / "docker"),
        "HSUP_SLUGS_DIR": str(directory / "slugs"),
        **{name: os.environ[name] for name in _FOUND_BY if name in os.environ},
    }
    if built := images() - before:
        docker("rmi", "--force", *built)
    docker("rmi", IMAGE)


def published(dyno: str) -> str:
    """Return the host and the port at which the only dyno of a name is published."""
    (container,) = docker("ps", "--quiet", "--filter", f"label=hsup.dyno={dyno}").split()
    return docker("port", container).split()[-1]


def containers() -> set[str]:
    """Return the names of hsup's containers, whatever state they are in."""
    listed = docker("ps", "--all", "--filter", f"label={CONTAINERS}", "--format", "{{.Names}}")
    return set(listed.split())


def images() -> set[str]:
    """Return the ids of the images that hsup built."""
    return set(docker("images", "--quiet", "--filter", f"label={IMAGES}").split())
