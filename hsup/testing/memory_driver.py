"""A driver whose dynos are objects in memory, controlled by a test."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable
from signal import SIGKILL

from hsup.api import Measurement, OutputPipes
from hsup.model import Address, DynoSpec, ExitStatus, Release


class MemoryDyno:
    """A dyno that ends when a test ends it, or at its first signal if it obeys.

    `signals` are the signals that it received, `graces` the grace periods of the calls of
    `destroy`, in seconds. A fault is raised by the method of its name until it is set to None.
    With `hangs_in_destroy`, `destroy` never returns; with `leaves_processes`, it has to kill
    something even though the dyno has ended. `measured` is what the dyno uses.
    """

    address: Address | None = None

    def __init__(self, spec: DynoSpec, output: OutputPipes, *, obeys: bool = True) -> None:
        self.spec = spec
        self.signals: list[int] = []
        self.graces: list[float] = []
        self.measured: Measurement | None = Measurement()
        self.measure_fault: Exception | None = None
        self.wait_fault: Exception | None = None
        self.signal_fault: Exception | None = None
        self.destroy_fault: Exception | None = None
        self.hangs_in_destroy = False
        self.leaves_processes = False
        self._obeys = obeys
        self._stdout = os.dup(output.stdout)
        self._ended: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        """Write to the standard output."""
        os.write(self._stdout, data)

    def end(self, code: int = 0, number: int | None = None, *, out_of_memory: bool = False) -> None:
        """End with an exit code, or by a signal, unless the dyno has ended already."""
        if not self._ended.done():
            os.close(self._stdout)
            self._ended.set_result(ExitStatus(code, number, out_of_memory))

    @property
    def has_ended(self) -> bool:
        """Tell whether the dyno has ended."""
        return self._ended.done()

    async def wait(self) -> ExitStatus:
        """Wait for the end of the dyno, and return how it ended."""
        if self.wait_fault:
            raise self.wait_fault
        return await asyncio.shield(self._ended)

    async def signal(self, number: int) -> None:
        """Record a signal, and end if the dyno obeys."""
        self.signals.append(number)
        if self.signal_fault:
            raise self.signal_fault
        if self._obeys:
            self.end(number=number)

    async def measure(self) -> Measurement | None:
        """Return what the dyno is to use, None once it has ended."""
        if self.measure_fault:
            raise self.measure_fault
        return None if self.has_ended else self.measured

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """End by SIGKILL after the grace period; return whether that was needed."""
        self.graces.append(grace_seconds)
        if self.destroy_fault:
            raise self.destroy_fault
        if self.hangs_in_destroy:
            await asyncio.Event().wait()
        await asyncio.wait([self._ended], timeout=grace_seconds)
        was_running = not self.has_ended
        self.end(number=SIGKILL)
        return was_running or self.leaves_processes


class MemoryDriver:
    """Starts dynos in memory.

    `built` are the releases that were built, `started` the dynos by name, and `attempts` is the
    number of attempted starts. Each of the next builds raises one of `build_failures`, each of
    the next starts one of `failures`. Dynos obey signals if `obeys` is set; dynos of a process
    type in `statuses` end at once, with that exit code. Starts wait while `may_start` is not set.
    """

    def __init__(self) -> None:
        self.obeys = True
        self.built: list[Release] = []
        self.failures: list[Exception] = []
        self.build_failures: list[Exception] = []
        self.statuses: dict[str, int] = {}
        self.started: defaultdict[str, list[MemoryDyno]] = defaultdict(list)
        self.attempts = 0
        self.may_start = asyncio.Event()
        self.may_start.set()
        self._progress = asyncio.Condition()

    def build(self, release: Release) -> None:
        """Record a release, or raise the next build failure."""
        if self.build_failures:
            raise self.build_failures.pop(0)
        self.built.append(release)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> MemoryDyno:
        """Start a dyno, or raise the next failure."""
        async with self._progress:
            self.attempts += 1
            self._progress.notify_all()
        await self.may_start.wait()
        if self.failures:
            raise self.failures.pop(0)
        dyno = MemoryDyno(spec, output, obeys=self.obeys)
        if spec.name.type in self.statuses:
            dyno.end(self.statuses[spec.name.type])
        async with self._progress:
            self.started[str(spec.name)].append(dyno)
            self._progress.notify_all()
        return dyno

    async def dyno(self, name: str, nth: int = 1) -> MemoryDyno:
        """Wait for the nth dyno with a name to start, and return it."""
        await self._until(lambda: len(self.started[name]) >= nth)
        return self.started[name][nth - 1]

    async def attempted(self, times: int) -> None:
        """Wait until a start was attempted so many times."""
        await self._until(lambda: self.attempts >= times)

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with self._progress:
            await self._progress.wait_for(is_so)
