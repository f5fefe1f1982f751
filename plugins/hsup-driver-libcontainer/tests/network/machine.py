"""A host of its own for each test: namespaces, which keep the real machine undisturbed.

    host                                     world
    dynos ── (links of the driver) ── up0 ────── 198.51.100.2, 169.254.169.254

The world has no route to dynos, so that it answers only what is masqueraded.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hsup.api import Settings
from hsup_driver_libcontainer.child import kernel, netlink_apply
from hsup_driver_libcontainer.network.firewall import Firewall
from hsup_driver_libcontainer.network.network import Network
from hsup_driver_libcontainer.network.subnets import Subnet

WORLD, HOST, METADATA = "198.51.100.2", "198.51.100.1", "169.254.169.254"


def own_namespace() -> int:
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Enter a network namespace with this thread."""
    before = own_namespace()
    kernel.setns(namespace, kernel.CLONE_NEWNET)
    try:
        yield
    finally:
        kernel.setns(before, kernel.CLONE_NEWNET)
        os.close(before)


class DynoNetwork:
    """A process that makes its network as a dyno's builder does."""

    def __init__(self, plan: netlink_apply.NetworkPlan, subnet: Subnet, name: str) -> None:
        self.subnet = subnet
        self.name = name
        ready, told = os.pipe()
        self._pid = _fork_init(lambda: _be_init(plan, told))
        os.close(told)
        with open(ready, encoding="utf-8") as file:
            self.problem = file.readline()
        self.namespace = os.open(f"/proc/{self._pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._is_running = True

    def end(self, *, keeps_namespace: bool = False) -> None:
        if self._is_running:
            self._is_running = False
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            if not keeps_namespace:
                os.close(self.namespace)


def _fork_init(be: Callable[[], None]) -> int:
    here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    kernel.unshare(kernel.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        try:
            be()
        finally:
            os._exit(1)
    kernel.setns(here, kernel.CLONE_NEWPID)
    os.close(here)
    return pid


def _be_init(plan: netlink_apply.NetworkPlan, told: int) -> None:
    with netlink_apply.route_socket() as host:
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            netlink_apply.apply(host, plan)
        except OSError as error:
            os.write(told, str(error).encode())
    # Nobody else has the writing end: the reader waits for it to be closed.
    os.write(told, b"\n")
    os.close(told)
    while True:
        signal.pause()


class Machine:
    """The host of one test, with the hsups and the dynos on it."""

    host_ip, world_ip, metadata_ip = HOST, WORLD, METADATA

    def __init__(self, run_directory: Path, host: int) -> None:
        self.run_directory = run_directory
        self.host = host
        self._undo: list[Callable[[], object]] = []
        self._names = 0

    def run(self, command: str, text: str = "") -> str:
        """Run a tool in the namespace of the test, with `text` as its input."""
        argv = command.split()
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def set(self, setting: str, value: int) -> None:
        """Set a kernel parameter, as sysctl does, which not every machine has."""
        Path("/proc/sys", *setting.split(".")).write_text(str(value), encoding="ascii")

    def run_or_none(self, command: str) -> str | None:
        """Run a tool that may fail."""
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        return None if done.returncode else done.stdout

    def network(self, **environ: str) -> Network:
        settings = Settings(directory="/", environ={"PATH": os.environ["PATH"], **environ})
        directory = str(self.run_directory)
        return Network(settings, directory, firewall_directory=directory)

    def hsup(self, **environ: str) -> Network:
        """Return the network of a running hsup."""
        network = self.network(**environ)
        network.open()
        self._undo.append(network.close)
        return network

    def firewall(self, **variables: str) -> Firewall:
        return Firewall({**os.environ, **variables}, str(self.run_directory))

    def dyno(self, network: Network) -> DynoNetwork:
        """Start a dyno of an hsup."""
        self._names += 1
        subnet = network.take_subnet()
        name = f"hs01234567{self._names:05}"
        dyno = DynoNetwork(network.plan(subnet, name), subnet, name)
        self._undo.append(dyno.end)
        return dyno

    def world(self) -> int:
        """Connect the host to a world, and return its namespace."""
        kernel.unshare(kernel.CLONE_NEWNET)
        namespace = own_namespace()
        kernel.setns(self.host, kernel.CLONE_NEWNET)
        self._undo.append(lambda: os.close(namespace))
        there = f"/proc/{os.getpid()}/fd/{namespace}"
        self.run(f"ip link add up0 type veth peer name down0 netns {there}")
        self.run(f"ip address add {HOST}/24 dev up0")
        self.run("ip link set up0 up")
        self.run(f"ip route add {METADATA} via {WORLD}")
        with inside(namespace):
            self.run("ip link set lo up")
            self.run(f"ip address add {WORLD}/24 dev down0")
            self.run(f"ip address add {METADATA}/32 dev lo")
            self.run("ip link set down0 up")
        return namespace

    inside = staticmethod(inside)

    def listen(self, namespace: int, address: str, port: int = 80) -> socket.socket:
        """Return a TCP socket that listens at an address in a namespace."""
        with inside(namespace):
            server = socket.create_server((address, port))
        server.settimeout(5)
        self._undo.append(server.close)
        return server

    def connect(
        self, namespace: int, address: str, port: int = 80, timeout: float = 5
    ) -> socket.socket:
        """Return a TCP connection from a namespace. Raises OSError."""
        with inside(namespace):
            client = socket.create_connection((address, port), timeout)
        self._undo.append(client.close)
        return client

    def stop(self) -> None:
        while self._undo:
            self._undo.pop()()
