"""Run one dyno: start it, restart it after a crash, and stop it."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from signal import SIGCONT, SIGTERM, SIGWINCH
from typing import TYPE_CHECKING, Any

from hsup.api import Adopts, Driver, HasPid, OutputPipes, RunningDyno
from hsup.descriptors import REMEDY, Descriptors
from hsup.errors import DriverError, DynoStartError, HsupError
from hsup.events import DynoExited, DynoStateChanged, Event
from hsup.lifecycle import Action, Input, State, step
from hsup.model import DynoSpec, ExitStatus
from hsup.output import messages
from hsup.output.lines import Line
from hsup.output.logs import DynoOutput, LogRouter
from hsup.supervision import port_conflicts
from hsup.supervision.held_ports import HeldPorts
from hsup.supervision.policy import CrashPolicy
from hsup.terminal import WindowSize
from hsup.threads import in_thread_or_here

if TYPE_CHECKING:
    from hsup.supervision.runtime_metrics import RuntimeMetrics  # imported only if asked for

logger = logging.getLogger(__name__)

#: How many dynos may start in one turn of the event loop.
_AT_ONCE = 10

#: A program that is to keep running, and ends sooner, was probably not written for that.
_AT_ONCE_SECONDS = 1.0
_SUCCESS = ExitStatus()

#: How often to look whether hsup has come to the foreground of its terminal.
_LOOK_SECONDS = 0.5

#: The status of a dyno that could not be started, as in the Go program.
NOT_STARTED = ExitStatus(code=255)


class ExecutorContext:
    """What all executors of a supervisor share.

    `tell` passes an event on; `gate` limits how many dynos start at once. With a `window`, dynos
    write to terminals, which have the size that it returns. `held_ports` are those of the dynos
    that run, by the names of these, if all listen on this machine: a new dyno waits for its own.
    `has_terminal` tells whether hsup, and not another job, has the terminal that a dyno is to read.
    `metrics` measures the dynos that are up, None if nobody asked for that: see `Fleet.measure`.
    """

    def __init__(
        self,
        *,
        driver: Driver,
        router: LogRouter,
        policy: CrashPolicy,
        grace_seconds: float,
        tell: Callable[[Event], None],
        window: Callable[[], WindowSize] | None = None,
        held_ports: HeldPorts | None = None,
        has_terminal: Callable[[], bool] = lambda: True,
    ) -> None:
        self.driver = driver
        self.router = router
        self.policy = policy
        self.grace_seconds = grace_seconds
        self.tell = tell
        self.window = window
        self.held_ports = held_ports
        self.has_terminal = has_terminal
        self.metrics: RuntimeMetrics | None = None
        self.descriptors = Descriptors()
        self.gate = asyncio.Semaphore(_AT_ONCE)


class Executor:
    """Runs one dyno through the state table of `hsup.lifecycle`.

    A one-off dyno completes when it ends; any other dyno is started again.
    """

    def __init__(self, spec: DynoSpec, around: ExecutorContext, *, one_off: bool = False) -> None:
        self.spec = spec
        self.state = State.NEW
        self.status: ExitStatus | None = None
        self.was_killed = False
        self._around = around
        self._one_off = one_off
        self._adopter = around.driver if isinstance(around.driver, Adopts) else None
        self._dyno: RunningDyno | None = None
        self._output: DynoOutput | None = None
        self._requests: list[Input] = []
        self._wake = asyncio.Event()
        self._crashes = 0
        self._wait_seconds = 0.0
        self._grace_seconds = around.grace_seconds
        self._reason = ""
        self._code: str | None = None  # of the reason
        self._has_said_suspicion = False
        self._free_port: int | None = None  # at the last start

    @property
    def is_leaving(self) -> bool:
        """Tell whether the dyno has ended, or is being stopped, for good."""
        return self.state.is_final or self.state is State.STOPPING or Input.STOP in self._requests

    @property
    def is_running(self) -> bool:
        """Tell whether the driver has started the dyno, and not yet cleaned it up."""
        return self._dyno is not None

    def stop(self) -> None:
        """Request that the dyno be stopped for good."""
        self._request(Input.STOP)

    def restart(self, spec: DynoSpec) -> None:
        """Request that the dyno be replaced at once by one with another spec."""
        self.spec = spec
        self._request(Input.RESTART)

    def forgive(self) -> None:
        """Forget earlier crashes, and end a restart delay."""
        self._crashes = 0
        if self.state is State.CRASHED:
            self._request(Input.RESTART)

    async def kill(self) -> None:
        """Kill the dyno at once, whatever is left of its grace period."""
        self._grace_seconds = 0.0
        self._request(Input.STOP)
        if self._dyno is None:
            return
        try:
            killed = await self._dyno.destroy()
        except HsupError as error:  # `run` reports the same error
            logger.debug("cannot kill %s: %s", self.spec.name, error)
        else:
            self.was_killed |= killed

    async def resize(self) -> None:
        """Set the size of the dyno's terminal, and tell the dyno.

        The kernel would tell only a dyno whose controlling terminal it were.
        """
        if self._around.window is None or self._output is None or self._dyno is None:
            return
        self._output.resize(self._around.window())
        try:
            await self._dyno.signal(SIGWINCH)
        except HsupError as error:
            logger.debug("cannot tell %s of its window: %s", self.spec.name, error)

    def measure(self) -> None:
        """Have the dyno measured as long as it is up, if the context has what measures."""
        if (metrics := self._around.metrics) is None:
            return
        if self.state is State.UP and self._dyno is not None:
            metrics.begin(self.spec, self._dyno)
        else:
            metrics.end(self.spec.name)

    async def send(self, number: int) -> None:
        """Send a signal to every process of the dyno, unless it does not run or is to end."""
        if self._dyno is None or self.state is not State.UP or self.is_leaving:
            return
        try:
            await self._dyno.signal(number)
        except HsupError as error:
            logger.debug("cannot send signal %d to %s: %s", number, self.spec.name, error)

    async def run(self) -> None:
        """Run the dyno until it is stopped for good or complete."""
        action = self._take(Input.START)
        try:
            while not self.state.is_final:
                action = self._take(await self._perform(action))
        finally:
            if self._output is not None:  # the driver failed
                self._output.finish()
            self._give_up_port()
            if self._around.metrics is not None:
                self._around.metrics.end(self.spec.name)
            self._around.router.forget(str(self.spec.name))

    async def _perform(self, action: Action) -> Input:
        """Carry out an action; return the resulting input."""
        match action:
            case Action.PROVISION:
                return await self._provision()
            case Action.LAUNCH:
                return await self._launch()
            case Action.WATCH:
                return await self._watch()
            case Action.TERMINATE:
                return await self._terminate()
            case Action.BACK_OFF:
                return await self._back_off()
            case _:
                raise AssertionError(action)

    def _take(self, given: Input) -> Action:
        before = self.state
        transition = step(before, given, one_off=self._one_off)
        self.state = transition.state
        if self.state is not before:
            self._around.tell(self._change(before))
            self._reason, self._code = "", None
            self.measure()
        return transition.action

    def _change(self, before: State) -> DynoStateChanged:
        """Return the event of having entered a state; a dyno that crashed gets its delay."""
        state, dyno = self.state, self._dyno
        is_up = state is State.UP and dyno is not None
        has_crashed = state is State.CRASHED
        if has_crashed:
            self._wait_seconds = self._around.policy.wait_seconds(self._crashes, _chance())
        return DynoStateChanged(
            dyno=self.spec.name,
            before=before,
            after=state,
            reason=self._reason,
            code=self._code,
            pid=dyno.pid if is_up and isinstance(dyno, HasPid) else None,
            address=dyno.address if is_up and dyno is not None else None,
            status=self.status if has_crashed or state.is_final else None,
            restart_seconds=self._wait_seconds if has_crashed else None,
        )

    def _request(self, given: Input) -> None:
        self._requests.append(given)
        self._wake.set()

    async def _unless_stopped(self, reading: Coroutine[Any, Any, None]) -> None:
        """Wait for a slow reader of the output, but not once the dyno is to be stopped."""
        read = asyncio.ensure_future(reading)
        await asyncio.sleep(0)  # in most cases this is enough
        while not (read.done() or self.is_leaving):
            self._wake.clear()
            woken = asyncio.ensure_future(self._wake.wait())
            await asyncio.wait([read, woken], return_when="FIRST_COMPLETED")
            woken.cancel()
        if self._requests:
            self._wake.set()
        if not read.cancel():
            read.result()

    def _say(self, line: Line) -> None:
        self._around.router.say(str(self.spec.name), line.text, line.event, line.source)

    def _next_request(self) -> Input | None:
        """Take the pending requests; STOP takes precedence over RESTART."""
        requests = set(self._requests)
        self._requests.clear()
        self._wake.clear()
        return next((kind for kind in (Input.STOP, Input.RESTART) if kind in requests), None)

    async def _provision(self) -> Input:
        async with self._around.gate:
            await asyncio.sleep(0)  # lets signals and output through while many dynos start
            await self._unless_stopped(self._around.router.room())
        if (held := self._around.held_ports) is not None and held.holder(self.spec.port):
            await self._unless_stopped(self._wait_for_port(held))
        if self.spec.input == "own" and not self._around.has_terminal():
            await self._unless_stopped(self._wait_for_terminal())
        if held is not None and (problem := self._port_problem()):
            await self._unless_stopped(self._warn_of_port(problem))
        spec = self.spec
        self._around.router.runs(str(spec.name), spec.app, spec.release_version)
        return Input.STOP if self._next_request() is Input.STOP else Input.PROVISIONED

    async def _wait_for_port(self, held: HeldPorts) -> None:
        """Wait until no dyno of an earlier release listens on the port of this one."""
        self._say(messages.waiting_for_port(self.spec.port, held.holder(self.spec.port)))
        while held.holder(self.spec.port):
            await held.changed()

    def _port_problem(self) -> int | None:
        """Return the number of what has kept the port from the dyno since its last start, if any.

        A new port was looked at with those of the whole release.
        """
        port, free = self.spec.port, self._free_port
        problem = None if port is None else port_conflicts.probe(port)
        self._free_port = None if problem else port
        return problem if port == free else None

    async def _warn_of_port(self, problem: int) -> None:
        """Say who has taken the port."""
        assert self.spec.port is not None
        describe = partial(port_conflicts.describe, self.spec.port, problem)
        self._say(messages.warning(await in_thread_or_here(describe)))

    async def _wait_for_terminal(self) -> None:
        self._say(messages.WAITING_FOR_TERMINAL)
        while not self._around.has_terminal():  # noqa: ASYNC110 - no signal tells a job of it
            await asyncio.sleep(_LOOK_SECONDS)

    def _give_up_port(self) -> None:
        if self._around.held_ports is not None:
            self._around.held_ports.give_up(self.spec.name)

    async def _launch(self) -> Input:
        if self._around.held_ports is not None:
            self._around.held_ports.hold(self.spec.port, self.spec.name)
        try:
            self._dyno = await self._adopt() or await self._start()
        except HsupError as error:
            self._give_up_port()
            self._reason, self._code = str(error), _code_of(error)
            self.status = NOT_STARTED
            self._count_crash(0.0)
            return Input.START_FAILED
        return Input.STARTED

    async def _adopt(self) -> RunningDyno | None:
        """Adopt the dyno if a previous hsup left it running; return None if not."""
        if self._adopter is None:
            return None
        adopted = await self._with_output(partial(self._adopter.adopt, self.spec))
        self._adopter = None
        if adopted is not None:
            self._say(messages.ADOPTED)
        return adopted

    async def _start(self) -> RunningDyno:
        self._say(messages.starting(self.spec.command))
        with self._around.descriptors.for_a_start():
            dyno = await self._with_output(partial(self._around.driver.start, self.spec))
        assert dyno is not None
        return dyno

    async def _with_output(
        self, begin: Callable[[OutputPipes], Awaitable[RunningDyno | None]]
    ) -> RunningDyno | None:
        """Return the dyno that `begin` gives, with pipes for its output."""
        try:
            window = self._around.window and self._around.window()
            output = DynoOutput(self.spec.name, self._around.router, window)
        except OSError as error:
            text = f"cannot create a pipe or a terminal: {error.strerror}"
            raise DriverError(text, hint=REMEDY) from error
        try:
            dyno = await begin(output)
        except BaseException:
            output.close_writing_ends()
            output.finish()
            raise
        output.close_writing_ends()
        if dyno is None:
            output.finish()
        else:
            self._output = output
        return dyno

    async def _watch(self) -> Input:
        """Wait until the dyno ends or there is a request.

        Its output is read from now on: what it printed comes after the line that it has started.
        """
        assert self._dyno is not None
        if self._output is not None:
            self._output.begin()
        started = time.monotonic()
        ended = asyncio.ensure_future(self._dyno.wait())
        ended.add_done_callback(lambda _: self._wake.set())
        while not ended.done():
            await self._wake.wait()
            # A request that comes as the dyno ends is left for the next state.
            if not ended.done() and (request := self._next_request()):
                ended.cancel()
                return request
        if not self._requests:
            self._wake.clear()
        if not ended.cancelled():
            ended.exception()  # `_status` reports it
        up_seconds = time.monotonic() - started
        self._count_crash(up_seconds)
        has_left = await self._clean_up(grace_seconds=0.0)
        if self.status == _SUCCESS:
            self._say_suspicion(up_seconds, has_left=has_left)
        return Input.EXITED

    def _say_suspicion(self, up_seconds: float, *, has_left: bool) -> None:
        """Say, once, why a program may have ended without an error before its work was done."""
        if self._has_said_suspicion:
            return
        if has_left:
            self._say(messages.DETACHED)
        elif up_seconds < _AT_ONCE_SECONDS and not self._one_off:
            self._say(messages.ENDED_AT_ONCE)
        else:
            return
        self._has_said_suspicion = True

    async def _terminate(self) -> Input:
        assert self._dyno is not None
        self._say(messages.STOPPING)
        try:
            await self._dyno.signal(SIGTERM)
            if self.spec.input == "own":  # it may be paused in the background
                await self._dyno.signal(SIGCONT)
        except HsupError as error:  # the dyno is destroyed all the same
            self._say_failed(error)
        await self._clean_up(self._grace_seconds)
        if self.state is State.RESTARTING:
            self._crashes = 0
            if self._next_request() is Input.STOP:
                self._take(Input.STOP)
        return Input.EXITED

    async def _clean_up(self, grace_seconds: float) -> bool:
        """Destroy the dyno, relay its last output, and report how it ended.

        Return whether something had to be killed.
        """
        assert self._dyno is not None
        assert self._output is not None
        killed = await self._dyno.destroy(grace_seconds)
        if killed and grace_seconds > 0 and self._grace_seconds > 0:
            self.was_killed = True
            self._say(messages.exit_timeout(grace_seconds))
            self._say(messages.KILLING)
        self.status = await self._status()
        await self._unless_stopped(self._output.drain())
        self._output.finish()
        self._dyno = self._output = None
        self._give_up_port()
        self._around.tell(DynoExited(dyno=self.spec.name, status=self.status))
        return killed

    async def _status(self) -> ExitStatus:
        """Return how the dyno ended, or NOT_STARTED if its driver cannot say."""
        assert self._dyno is not None
        try:
            return await self._dyno.wait()
        except HsupError as error:
            self._say_failed(error)
            return NOT_STARTED

    def _say_failed(self, error: HsupError) -> None:
        self._around.router.say(str(self.spec.name), f"Error: {error}")

    async def _back_off(self) -> Input:
        wait = self._wait_seconds
        logger.info(
            "%s crashed %d times in a row, restart delay %.3f s",
            self.spec.name,
            self._crashes,
            wait,
        )
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            return Input.BACK_OFF_OVER
        return self._next_request() or Input.BACK_OFF_OVER

    def _count_crash(self, up_seconds: float) -> None:
        self._crashes = self._around.policy.crashes_in_a_row(self._crashes, up_seconds)


def _code_of(error: HsupError) -> str | None:
    """Return the platform's code for a failed start, None if the command is at fault."""
    is_of_command = isinstance(error, DynoStartError) and error.is_of_command
    return None if is_of_command else messages.PLATFORM_ERROR_CODE


def _chance() -> float:
    """Return a number from 0 to 1 by chance.

    To import `random` takes a file, which may be one too many when a dyno crashes.
    """
    return int.from_bytes(os.urandom(4)) / 0xFFFFFFFF
