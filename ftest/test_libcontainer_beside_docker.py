"""A Docker Engine on the same host, with its own firewall: dynos do not reach its containers.

All of it is in a network and a mount namespace of the test's own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence

import pytest

from ftest.docker_engine import docker
from ftest.own_engine import OwnEngine
from ftest.program import Hsup, eventually
from ftest.test_libcontainer_network import ASK, SERVE

CONTAINER, PORT = "10.99.0.5", "8000"
#: Says again and again whether the container answers.
PROBE = f'while sleep 0.2; do python3 -c "{ASK}" {CONTAINER} {PORT} 2>/dev/null || echo none; done'
NETWORK = ("--subnet", "10.99.0.0/24", "--opt", "com.docker.network.bridge.name=foo0")


@pytest.fixture
def inside(hsup: Hsup) -> Iterator[Sequence[str]]:
    """Give what runs a command in the namespaces, which end with the test."""
    up = "ip link set lo up && echo ready && exec sleep infinity"
    line = ("unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", up)
    with subprocess.Popen(line, cwd=hsup.directory, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"ready\n"
        yield ("nsenter", "--target", str(holder.pid), "--net", "--mount", "--wd")
        holder.kill()


@pytest.fixture
def start_container(
    request: pytest.FixtureRequest, inside: Sequence[str]
) -> Iterator[Callable[[], None]]:
    """Give what starts an engine, and on it a container that says hello."""
    needed = (*inside, "sh", "-c", "dockerd --version && iptables -t nat -S")
    tried = subprocess.run(needed, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"there is no engine with a firewall here: {tried.stderr}")
    stack = request.config.getoption("--stack").absolute()
    engines = []

    def start() -> None:
        engines.append(engine := OwnEngine("600m", ("--iptables=true",), inside))
        engine.load(stack, "neighbour")
        docker("network", "create", *NETWORK, "foo", env=engine.environ)
        where = ("--network", "foo", "--ip", CONTAINER, "--volume", f"{stack}/usr:/usr:ro")
        serve = ("neighbour", "python3", "-c", SERVE.format(port=PORT))
        docker("run", "--detach", *where, *serve, env=engine.environ)

    yield start
    for engine in engines:
        engine.remove()


@pytest.mark.parametrize("first", ["docker", "hsup"])
def test_a_dyno_does_not_reach_a_container_of_dockers(
    hsup: Hsup, inside: Sequence[str], start_container: Callable[[], None], first: str
) -> None:
    hsup.procfile(web=PROBE)
    if first == "docker":
        start_container()
    running = hsup.begin(
        "start", prefix=inside, env={"LIBCONTAINER_RUN_DIR": f"{hsup.directory}.run"}
    )
    running.wait_for("none$")
    if first == "hsup":
        start_container()
    ask = (*inside, "python3", "-c", ASK, CONTAINER, PORT)
    assert eventually(lambda: subprocess.run(ask, check=False).returncode == 0)
    running.wait_for("none$", count=running.count("none$") + 3)
    assert not running.count("hello$")

    subprocess.run((*inside, "nft", "delete", "table", "inet", "hsup"), check=True)
    running.wait_for("hello$")  # nothing else kept them apart
    assert running.stop() == 0, running.said
