"""Keep the wanted dynos running, and no others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from hsup.errors import HsupError
from hsup.lifecycle import State
from hsup.model import DynoName, DynoSpec, ExitStatus
from hsup.supervision.executor import NOT_STARTED, Executor, ExecutorContext
from hsup.supervision.formation import change

if TYPE_CHECKING:
    from hsup.supervision.runtime_metrics import RuntimeMetrics  # imported only if asked for

logger = logging.getLogger(__name__)


class Fleet:
    """One executor for each dyno, from its start until it is cleaned up.

    If `one_shot` is set, a dyno that has ended is not started again.
    `highest_status` is the highest of the dynos that were not asked to stop.
    `on_gone` is called with the name of each dyno that has ended for good, and `on_end` with how it
    ended, unless it was asked to stop.
    """

    def __init__(
        self,
        around: ExecutorContext,
        *,
        one_shot: bool,
        on_gone: Callable[[DynoName], None],
        on_end: Callable[[DynoName, ExitStatus], None],
    ) -> None:
        self.was_killed = False
        self.has_failed = False
        self.highest_status = 0
        self._around = around
        self._one_shot = one_shot
        self._on_gone = on_gone
        self._on_end = on_end
        self._ends: dict[DynoName, ExitStatus] = {}  # in the order of the ends
        self._wanted: dict[DynoName, DynoSpec] = {}
        self._executors: dict[DynoName, Executor] = {}
        self._one_offs: set[Executor] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def states(self) -> Mapping[str, str]:
        """Return the state of every dyno by its name."""
        return {str(name): one.state.value for name, one in self._executors.items()}

    def running(self) -> list[str]:
        """Return the names of the dynos that were started and have not ended, one-offs included."""
        everyone = (*self._executors.values(), *self._one_offs)
        return [str(one.spec.name) for one in everyone if one.is_running]

    def names(self) -> set[DynoName]:
        """Return the names of all dynos that have not ended for good, one-offs included."""
        return {*self._executors, *(one.spec.name for one in self._one_offs)}

    def ports(self) -> set[int]:
        """Return the ports of all dynos that have not ended for good."""
        everyone = (*self._executors.values(), *self._one_offs)
        return {one.spec.port for one in everyone if one.spec.port is not None}

    def status_of(self, process_type: str) -> int:
        """Return the status of the dyno of a type that ended first, of NOT_STARTED without any."""
        ends = (status for name, status in self._ends.items() if name.type == process_type)
        return next(ends, NOT_STARTED).status

    async def idle(self) -> None:
        """Return when no dyno is left."""
        await self._idle.wait()

    def want(self, specs: Mapping[DynoName, DynoSpec]) -> None:
        """Start, stop and replace dynos until exactly these run."""
        self._wanted = dict(specs)
        for executor in self._executors.values():
            executor.forgive()
        self._reconcile()

    async def run_one(self, spec: DynoSpec) -> ExitStatus | None:
        """Run a one-off dyno to its end; return its status."""
        executor = Executor(spec, self._around, one_off=True)
        self._one_offs.add(executor)
        task = self._spawn(executor.run(), spec.name)
        task.add_done_callback(lambda _: self._one_off_gone(executor))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            executor.stop()
            raise
        return executor.status

    async def stop(self) -> None:
        """Stop all dynos, and return when they are cleaned up."""
        self._wanted = {}
        for executor in (*self._executors.values(), *self._one_offs):
            executor.stop()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._around.metrics is not None:
            await self._around.metrics.close()

    def kill(self) -> None:
        """Kill all dynos, so that a pending `stop` waits no longer."""
        for executor in (*self._executors.values(), *self._one_offs):
            self._spawn(executor.kill(), executor.spec.name)

    def measure(self, metrics: RuntimeMetrics | None) -> None:
        """Have all dynos measured from now on, those that are up and those to come, or none."""
        if self._around.metrics is not None:
            self._around.metrics.cancel()
        self._around.metrics = metrics
        for executor in (*self._executors.values(), *self._one_offs):
            executor.measure()

    def resize(self) -> None:
        """Give the terminals of all dynos the size that they are to have now."""
        for executor in (*self._executors.values(), *self._one_offs):
            self._spawn(executor.resize(), executor.spec.name)

    async def send(self, name: DynoName, number: int) -> None:
        """Send a signal to every process of a dyno, unless it does not run or is to end."""
        if (executor := self._executors.get(name)) is not None:
            await executor.send(number)

    def _reconcile(self) -> None:
        running = {name: one.spec for name, one in self._executors.items() if not one.is_leaving}
        todo = change(running, self._wanted)
        for name in todo.stop:
            self._executors[name].stop()
        for name in todo.restart:
            self._executors[name].restart(self._wanted[name])
        for name in todo.start:
            if name not in self._executors:  # else `_gone` starts it
                self._start(self._wanted[name])

    def _start(self, spec: DynoSpec) -> None:
        executor = Executor(spec, self._around, one_off=self._one_shot)
        self._executors[spec.name] = executor
        self._idle.clear()
        task = self._spawn(executor.run(), spec.name)
        task.add_done_callback(lambda task: self._gone(executor, task))

    def _one_off_gone(self, executor: Executor) -> None:
        self._one_offs.discard(executor)
        self.was_killed |= executor.was_killed

    def _gone(self, executor: Executor, task: asyncio.Task[None]) -> None:
        name = executor.spec.name
        del self._executors[name]
        self.was_killed |= executor.was_killed
        failed = task.cancelled() or task.exception() is not None
        self.has_failed |= failed
        status = NOT_STARTED if failed else executor.status
        if status is not None:
            self._ends[name] = status
        if status is not None and executor.state is not State.STOPPED:
            self.highest_status = max(self.highest_status, status.status)
            self._on_end(name, status)
        if self._one_shot or failed:
            self._wanted.pop(name, None)
        if name in self._wanted:  # it was wanted again while it was being stopped
            self._start(self._wanted[name])
        else:
            self._on_gone(name)
        if not self._executors:
            self._idle.set()

    def _spawn(self, work: Coroutine[Any, Any, None], name: DynoName) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=str(name))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            trace = None if isinstance(error, HsupError) else error
            text = "gave up on %s; other dynos keep running: %s"
            logger.error(text, task.get_name(), error, exc_info=trace)
