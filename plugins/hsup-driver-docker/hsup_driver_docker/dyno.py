"""A running dyno of the Docker driver."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from functools import partial
from signal import SIGKILL
from typing import Any, TypeVar

from hsup.api import Measurement
from hsup.errors import DriverError, TooManyProcesses
from hsup.model import Command, ExitStatus
from hsup.terminal import ENDING
from hsup.threads import in_thread, in_thread_or_here, start_thread
from hsup_driver_docker.containers.handle import Launched
from hsup_driver_docker.engine.client import State, exit_status
from hsup_driver_docker.engine.connection import EngineError, EngineUnreachable
from hsup_driver_docker.execution import Execution, execute
from hsup_driver_docker.relay import Outputs, Relay

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")

#: How long after its output a container ends, at most.
_END_SECONDS = 2.0
#: How long an engine takes to notice that a process was killed, at most.
_KILLED_SECONDS = 30.0
#: How long a caller that ends a dyno waits for an engine that does not answer.
_AWAY_SECONDS = 8.0
#: After this time without an answer, a ping finds out whether the engine answers at all.
_SLOW_SECONDS = _AWAY_SECONDS / 2
#: The first status of HTTP that is a fault of the engine itself (RFC 9110, section 15.6).
_FIRST_FAULT = 500
_FIRST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 0.1, 2.0


class DockerDyno:
    """A dyno in a container that has been started; `gone` is called once that is removed."""

    def __init__(
        self, launched: Launched, outputs: Outputs, gone: Callable[[DockerDyno], None]
    ) -> None:
        self.handle = launched.handle
        self.address = launched.address
        self._outputs = outputs
        self._gone = gone
        self._end: asyncio.Future[ExitStatus] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._was_killed = False
        self._ran_out_of_memory = False
        self._removed: asyncio.Task[None] | None = None
        self._relay = Relay(launched.stream, outputs, launched.skip)
        self._spawn(self._follow())

    async def wait(self) -> ExitStatus:
        """Return how the program ended."""
        return await asyncio.shield(self._end)

    async def signal(self, number: int) -> None:
        """Send a signal to every process."""
        if self._end.done():
            return
        try:
            if number not in ENDING:
                await self._persist(partial(self.handle.signal, number))
                return
            await self._persist(partial(self._end_all, number))
        except EngineUnreachable as error:
            logger.warning("cannot signal %s: %s", self.handle.spec.name, error)

    async def measure(self) -> Measurement | None:
        """Return what the container uses, None if it does not run."""
        return None if self._end.done() else await in_thread(self.handle.measured)

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Remove the container, after the grace period if its program still runs.

        Raises DriverError if the engine cannot be reached, or cannot end the container.
        """
        try:
            async with asyncio.timeout(0.0 if self.handle.engine.is_given_up else grace_seconds):
                await self.wait()
        except TimeoutError:
            pass
        was_running = False
        if not self._end.done():
            self._was_killed = True
            self._relay.discard()
            was_running = await self._persist(self.handle.kill)
        await self._wait_ended()
        if self._removed is None or (self._removed.done() and self._removed.exception()):
            self._removed = self._spawn(self._remove())
        await asyncio.shield(self._removed)
        return was_running

    async def execute(self, command: Command, streams: Sequence[int]) -> Execution:
        """Exec a command in the container. Raises DynoStartError."""
        return await execute(self.handle, command, streams)

    def run_out_of_memory(self) -> None:
        """End all processes, of which the kernel has killed only one."""
        self._ran_out_of_memory = True
        self._spawn(self._persist(self.handle.kill))

    def _end_all(self, number: int) -> None:
        """Signal all processes to end; a thread waits for them, even if this is cancelled."""
        ending: Future[Callable[[], None]] = Future()
        try:
            start_thread(partial(_finish, ending))
        except TooManyProcesses:  # and this thread cannot wait for them
            self.handle.end_program(number)
            return
        try:
            ending.set_result(self.handle.end(number))
        finally:
            ending.cancel()

    async def _wait_ended(self) -> None:
        try:
            async with asyncio.timeout(_KILLED_SECONDS):
                await self.wait()
        except TimeoutError:
            text = f"the Docker Engine did not kill container {self.handle.name}"
            raise DriverError(text, hint="restart the engine") from None

    async def _remove(self) -> None:
        await self._persist(self.handle.remove)
        self._gone(self)

    async def _follow(self) -> None:
        """Pass on the output until the container ends, even if the engine is restarted."""
        try:
            await self._relay.ended
            state, has_missed = await self._wait_container()
            while has_missed and state is not None:
                await self._pass_on_missed()
                if not state.is_running:
                    break
                state, has_missed = await self._wait_container()
            self._settle(state)
        finally:
            if not self._end.done():
                self._end.set_result(ExitStatus(signal=SIGKILL))
            self._outputs.close()

    async def _pass_on_missed(self) -> None:
        """Pass on the output that the engine has kept, up to the end of the stream."""
        position = self._outputs.position.start()
        try:
            logs = partial(self.handle.engine.logs, self.handle.id, position.since_text)
            stream = await self._persist(logs)
        except DriverError:
            return  # the next look at the container finds the cause
        self._relay = Relay(stream, self._outputs, position)
        if self._was_killed:
            self._relay.discard()
        await self._relay.ended

    async def _wait_container(self) -> tuple[State | None, bool]:
        """Return the state of the container, and whether output may have been missed.

        A container usually ends as soon as its output does. If not, either its program has closed
        its outputs, or the engine has ended the stream.
        """
        wait_seconds = 0.0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                state = await in_thread_or_here(partial(self.handle.wait, _END_SECONDS))
                was_slow = loop.time() - began >= _END_SECONDS
                is_running = state is not None and state.is_running
                return state, is_running or was_slow or bool(wait_seconds)
            except (EngineUnreachable, EngineError) as error:
                if not wait_seconds:
                    logger.warning(
                        "%s; %s keeps running, its output is not being read",
                        error,
                        self.handle.spec.name,
                    )
                wait_seconds = min(
                    max(_FIRST_RETRY_SECONDS, 2 * wait_seconds), _LONGEST_RETRY_SECONDS
                )
            await asyncio.sleep(wait_seconds)

    def _settle(self, state: State | None) -> None:
        if state is None:
            logger.warning("another program removed container %s", self.handle.name)
            self._end.set_result(ExitStatus(signal=SIGKILL))
        else:
            self._end.set_result(
                exit_status(
                    state, was_killed=self._was_killed, ran_out_of_memory=self._ran_out_of_memory
                )
            )

    async def _persist(self, ask: Callable[[], _Result]) -> _Result:
        """Ask again while the engine restarts. Raises EngineUnreachable if that takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _AWAY_SECONDS
        while True:
            try:
                return await self._answered(ask)
            except (EngineUnreachable, EngineError) as error:
                if isinstance(error, EngineError) and error.status < _FIRST_FAULT:
                    raise
                if self.handle.engine.is_given_up or loop.time() > deadline:
                    self.handle.engine.give_up()
                    raise
                await asyncio.sleep(_FIRST_RETRY_SECONDS)

    async def _answered(self, ask: Callable[[], _Result]) -> _Result:
        """Wait for an answer while the engine answers pings. Raises EngineUnreachable."""
        work = asyncio.ensure_future(in_thread_or_here(ask))
        try:
            while not (await asyncio.wait({work}, timeout=_SLOW_SECONDS))[0]:
                await in_thread_or_here(partial(self.handle.engine.ping, _SLOW_SECONDS))
            return work.result()
        finally:
            work.cancel()

    def _spawn(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.info("%s: %s", self.handle.name, error)


def _finish(ending: Future[Callable[[], None]]) -> None:
    """Wait until signalled processes have ended, and resume the init of their container."""
    try:
        ending.result()()
    except CancelledError:
        pass  # the caller of `signal` gets the error
    except DriverError as error:
        logger.info("%s", error)  # the waiter for the dyno gets the error
