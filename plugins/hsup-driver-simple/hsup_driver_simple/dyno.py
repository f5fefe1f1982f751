"""A running dyno of the simple driver."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from functools import partial

from hsup.api import Measurement
from hsup.descriptors import unless_lowered
from hsup.errors import DynoStartError
from hsup.model import Address, ExitStatus
from hsup.threads import in_thread
from hsup_driver_simple.descriptors import low_descriptors
from hsup_driver_simple.process_scanner import ProcessScanner, ended
from hsup_driver_simple.processes import KILLED_SECONDS, refusal, send
from hsup_driver_simple.program import exit_status


def watch(pid: int, mark: int, *, counted_by: ProcessScanner, address: Address) -> SimpleDyno:
    """Watch a new process as a dyno; if it cannot be watched, kill it and raise DynoStartError."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError as error:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        hint = "raise the open-file limit, for example ulimit -n 4096"
        raise DynoStartError(f"cannot watch the dyno: {error.strerror}", hint=hint) from error
    return SimpleDyno(pid, pidfd, mark, counted_by, address)


class SimpleDyno:
    """A main process, and all processes that it started."""

    __slots__ = ("_ended", "_mark", "_pidfd", "_scanner", "address", "pid")

    def __init__(
        self, pid: int, pidfd: int, mark: int, counted_by: ProcessScanner, address: Address
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pid = pid
        self._pidfd = pidfd
        self._mark = mark
        self._scanner = counted_by
        self.address = address
        self._ended: asyncio.Future[ExitStatus] = loop.create_future()
        loop.add_reader(pidfd, self._reap)

    async def wait(self) -> ExitStatus:
        """Return how the main process ended."""
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        """Send a signal once to every process.

        Looks for processes until there are no new ones: a child that was forked while
        its parent was being signalled did not get the signal.
        """
        signalled: set[int] = set()
        try:
            while fresh := await self._members() - signalled:
                send(fresh, number)
                signalled |= fresh
        except OSError:  # too many files are open to look for processes
            self._signal_group(number)
            raise

    async def measure(self) -> Measurement | None:
        """Return what all its processes use, None if the main process has ended."""
        from hsup_driver_simple.measuring import measured  # rarely needed

        if self._ended.done():
            return None
        snapshot = await self._scanner.recent()
        mark, first = self._mark, None if self._ended.done() else self.pid

        def measure() -> Measurement:
            return measured(snapshot.members(mark, first))

        return await in_thread(partial(unless_lowered, measure))

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """End every process; tell whether one was killed. Raises DriverError if that fails."""
        try:
            return await self._destroy(grace_seconds)
        except OSError:  # too many files are open to look for processes
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await self.wait()
            self._signal_group(signal.SIGKILL)
            raise

    def _signal_group(self, number: int) -> None:
        """Send a signal to the process group: its processes need not be looked for."""
        if not self._ended.done():
            os.killpg(self.pid, number)

    async def _destroy(self, grace_seconds: float) -> bool:
        deadline = time.monotonic() + grace_seconds
        gone: set[int] = set()
        killed = False
        while left := await self._members() - gone:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                killed = True
                if send(left, signal.SIGKILL) >= left:
                    raise refusal(left)
                seconds = KILLED_SECONDS
            gone |= await ended(left, seconds)
        await self.wait()
        return killed

    async def _members(self) -> set[int]:
        snapshot = await self._scanner.snapshot()
        with low_descriptors().one_free():
            return snapshot.members(self._mark, None if self._ended.done() else self.pid)

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        _, status = os.waitpid(self.pid, 0)
        self._ended.set_result(exit_status(status))
