"""Run dynos as plain processes in the current folder."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Sequence

from hsup.api import OutputPipes, Settings
from hsup.errors import DynoStartError
from hsup.model import Address, DynoSpec, ExitStatus, Release
from hsup_driver_simple.census import Census, clear, sweep
from hsup_driver_simple.mark import Marks, children_get
from hsup_driver_simple.program import exit_status, program


class SimpleDriver:
    """Starts each dyno's command in a session of its own, on the host's network."""

    def __init__(self, settings: Settings) -> None:
        self._surroundings = settings.environ
        self._marks = Marks()
        self._census = Census()
        self._open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]

    def build(self, release: Release) -> None:
        """Do nothing: the application is in the current folder."""

    def sweep(self) -> Sequence[str]:
        """End the processes of every hsup that is no more."""
        return sweep()

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end on hsup's own streams."""
        from hsup_driver_simple import foreground

        return foreground.run(program(spec, self._surroundings), self._marks.next(), grace_seconds)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> SimpleDyno:
        """Start a dyno. Raises DynoStartError, also for a web port that is taken."""
        what = program(spec, self._surroundings)
        port = int(what.environment["PORT"])
        if spec.name.type == "web":
            _require_free(port)
        self._raise_open_files()
        mark = self._marks.next()
        actions = (
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output.stdout, 1),
            (os.POSIX_SPAWN_DUP2, output.stderr, 2),
        )
        with children_get(mark, self._open_files):
            pid = what.spawn(actions=actions, session=True)
        return SimpleDyno(pid, mark, self._census, Address(ip="127.0.0.1", port=port))

    def _raise_open_files(self) -> None:
        """Allow hsup three descriptors for each of many dynos; theirs stays what it was."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class SimpleDyno:
    """A process, and all that it started."""

    __slots__ = ("_address", "_census", "_ended", "_mark", "_pid", "_pidfd")

    def __init__(self, pid: int, mark: int, counted_by: Census, address: Address) -> None:
        loop = asyncio.get_running_loop()
        self._pid = pid
        self._mark = mark
        self._census = counted_by
        self._address = address
        self._ended: asyncio.Future[ExitStatus] = loop.create_future()
        self._pidfd = os.pidfd_open(pid)
        loop.add_reader(self._pidfd, self._reap)

    @property
    def address(self) -> Address:
        """Return where the dyno listens, if it does."""
        return self._address

    async def wait(self) -> ExitStatus:
        """Return how the first process ended."""
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        """Send a signal to every process."""
        await self._census.signal(self._mark, number)

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when no process is left."""
        killed = await clear(self._census, self._mark, grace_seconds)
        await self.wait()
        return killed

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status = os.waitpid(self._pid, 0)
        self._ended.set_result(exit_status(status))


def _require_free(port: int) -> None:
    """Raise DynoStartError where another program listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise DynoStartError(
                f"cannot listen on port {port}: {os.strerror(error.errno or 0)}",
                hint="stop the program that listens there, or set PORT in the release",
            ) from error
