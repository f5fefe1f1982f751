"""A running dyno of the simple driver."""

from __future__ import annotations

import asyncio
import os
import signal

from hsup.errors import DynoStartError
from hsup.model import Address, ExitStatus
from hsup_driver_simple.census import Census
from hsup_driver_simple.program import exit_status


def watch(pid: int, mark: int, *, counted_by: Census, address: Address) -> SimpleDyno:
    """Take on a process that was just started. Raises DynoStartError, and ends it then."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise DynoStartError(f"cannot watch the dyno: {error.strerror}") from error
    return SimpleDyno(pid, pidfd, mark, counted_by, address)


class SimpleDyno:
    """A process, and all that it started."""

    __slots__ = ("_census", "_ended", "_mark", "_pid", "_pidfd", "address")

    def __init__(
        self, pid: int, pidfd: int, mark: int, counted_by: Census, address: Address
    ) -> None:
        loop = asyncio.get_running_loop()
        self._pid = pid
        self._pidfd = pidfd
        self._mark = mark
        self._census = counted_by
        self.address = address
        self._ended: asyncio.Future[ExitStatus] = loop.create_future()
        loop.add_reader(pidfd, self._reap)

    async def wait(self) -> ExitStatus:
        """Return how the first process ended."""
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        """Send a signal to every process."""
        await self._census.signal(self._mark, number)

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when no process is left."""
        killed = await self._census.clear(self._mark, grace_seconds)
        await self.wait()
        return killed

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status = os.waitpid(self._pid, 0)
        self._ended.set_result(exit_status(status))
