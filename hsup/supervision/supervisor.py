"""Follow a source, and keep the dynos of its newest good release running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from signal import Signals
from typing import TYPE_CHECKING

from hsup.api import SUPERVISOR, Driver, Fetched, Service, Source, Sweeps
from hsup.errors import HsupError
from hsup.events import (
    Event,
    SourceFailed,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.model import DynoName, ExitStatus, Release
from hsup.output import messages
from hsup.output.logs import LogRouter
from hsup.plugins.calls import LAST_SECONDS, Calls, call_plugin
from hsup.supervision.asking import Asking
from hsup.supervision.executor import NOT_STARTED, ExecutorContext
from hsup.supervision.fleet import Fleet
from hsup.supervision.held_ports import HeldPorts
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.ports import Ports
from hsup.supervision.rollout import Outcome, Rollout, Telling, rejection
from hsup.supervision.stopping import Stopping

if TYPE_CHECKING:
    from hsup.output.history import History

logger = logging.getLogger(__name__)

#: How long someone who typed ^C waits without a word.
_PATIENT_SECONDS = 2.0

#: What to do if a source cannot be watched.
_HINT = "; send SIGHUP to fetch the release again"


class Supervisor:
    """Keeps the dynos of the newest good release running."""

    def __init__(
        self,
        options: SupervisorOptions,
        *,
        source: Source,
        driver: Driver,
        router: LogRouter,
        observe: Callable[[Event], None],
        calls: Calls,
    ) -> None:
        self._options = options
        self._source = source
        self._driver = driver
        self._router = router
        self._observe = observe
        self._calls = calls
        around = ExecutorContext(
            driver=driver,
            router=router,
            policy=options.policy,
            grace_seconds=options.grace_seconds,
            window=options.window,
            has_terminal=options.has_terminal,
            held_ports=HeldPorts() if options.shares_ports else None,
            tell=self._tell,
        )
        ports = Ports()
        self._fleet = fleet = Fleet(
            around,
            one_shot=options.one_shot or options.aborts_on_exit,
            on_gone=ports.release,
            on_end=self._take_end,
        )
        self._rollout = Rollout(options, source=source, around=around, fleet=fleet, ports=ports)
        self._outcome = Outcome()
        self._is_waiting = False
        self._asking = Asking()
        self._stopping = Stopping()

    @property
    def history(self) -> History:
        """Return the last lines of all dynos."""
        return self._router.history

    def dynos(self) -> Mapping[str, str]:
        """Return the state of every dyno by its name."""
        return self._fleet.states()

    def running(self) -> Sequence[str]:
        """Return the names of the dynos that were started and have not ended, one-offs included."""
        return self._fleet.running()

    def reload(self) -> None:
        """Ask the source again, and allow a release that failed to be retried."""
        self._rollout.forget_failure()
        self._asking.want()

    def stop(self, number: Signals) -> None:
        """Stop all dynos and end; a call while they are being stopped ends the grace period."""
        self._stopping.take(number)
        if self._stopping.is_hurried:
            self._calls.hurry()
            self._fleet.kill()

    def resize(self) -> None:
        """Give the dynos' terminals the size of the window that has changed."""
        self._fleet.resize()

    async def send(self, name: DynoName, number: int) -> None:
        """Send a signal to every process of a dyno, unless it does not run or is to end."""
        await self._fleet.send(name, number)

    @property
    def is_hurried(self) -> bool:
        """Tell whether hsup was told to stop more than once."""
        return self._stopping.is_hurried

    @property
    def has_given_up(self) -> bool:
        """Tell whether a driver failed to end a dyno, so that some of it may be left."""
        return self._fleet.has_failed

    async def run(self, services: Sequence[Service] = ()) -> int:
        """Run until stopped, or until nothing is left to run; return the exit status.

        Raises HsupError if not even a first release could run.
        """
        options = self._options
        self._tell(SupervisorStarted(source=options.source_name, driver=options.driver_name))
        await self._sweep()
        following = asyncio.create_task(self._follow())
        tasks = [asyncio.create_task(self._until_stopped())]
        tasks += [asyncio.create_task(self._guard(one.run(self))) for one in services]
        tasks.append(asyncio.create_task(self._guard(self._watch_source(), _HINT)))
        try:
            await asyncio.wait([following, tasks[0]], return_when="FIRST_COMPLETED")
        finally:
            for task in (following, *tasks):
                task.cancel()
            patience = asyncio.create_task(self._say_what_is_waited_for())
            await self._fleet.stop()
            patience.cancel()
            # A task of a plugin may ignore its cancellation.
            left = await asyncio.wait([following, *tasks], timeout=2 * LAST_SECONDS)
            self._calls.has_abandoned |= bool(left[1])
        if following.done() and not following.cancelled() and (error := following.exception()):
            raise error
        return self._exit_status()

    @property
    def _outlasts_dynos(self) -> bool:
        return self._options.stays or self._options.follows_formation

    def _exit_status(self) -> int:
        fleet, options = self._fleet, self._options
        if self._stopping.is_aborted and not self.is_hurried:
            name = options.status_from
            status = self._stopping.aborted_with if name is None else fleet.status_of(name)
            return status or int(fleet.has_failed)
        highest = fleet.highest_status if options.one_shot else 0
        has_killed = fleet.was_killed or fleet.has_failed
        return self._stopping.exit_status(highest=highest, has_killed=has_killed)

    def _take_end(self, name: DynoName, status: ExitStatus) -> None:
        if self._options.aborts_on_exit:
            how = (
                "could not be started"
                if status is NOT_STARTED
                else f"exited with status {status.status}"
            )
            self._stopping.abort(f"{name} {how}", status.status)

    async def _until_stopped(self) -> None:
        await self._stopping.begun.wait()
        self._tell(SupervisorStopping(reason=self._stopping.reason))

    async def _say_what_is_waited_for(self) -> None:
        """Tell whoever typed ^C, or waits for the end of a dyno, why hsup has not ended yet."""
        await asyncio.sleep(_PATIENT_SECONDS)
        is_aborted = self._stopping.is_aborted
        if (self._stopping.is_typed or is_aborted) and (names := self._fleet.running()):
            left = max(self._options.grace_seconds - _PATIENT_SECONDS, 0)
            waited_for, key = ", ".join(names), "^C" if is_aborted else "^C again"
            self._say(f"Waiting for {waited_for}, to be killed in {left:g} s; {key} kills at once")

    async def _sweep(self) -> None:
        """Sweep the leftovers of previous hsups; a second signal ends the wait for it."""
        if not isinstance(self._driver, Sweeps):
            return
        try:
            for leftover in await call_plugin(self._driver.sweep):
                self._say(f"Removed a leftover of a previous hsup: {leftover}")
        except HsupError as error:
            if not (error.is_mistake or self.is_hurried):
                raise
            self._say(f"Warning: {error}")

    async def _guard(self, work: Awaitable[None], hint: str = "") -> None:
        """Await a service or the watch of a source; report its error, which stops no dyno."""
        try:
            await work
        except HsupError as error:
            self._say(f"Error: {error}{hint}")

    async def _watch_source(self) -> None:
        try:
            async with aclosing(self._source.changes()) as changes:
                async for _ in changes:
                    self._asking.change()
        finally:
            self._asking.now()  # a source that cannot be watched can still be fetched from

    async def _follow(self) -> None:
        """Ask the source whenever there is a reason to, until nothing is left to run."""
        while self._outcome.running is None or not self._options.one_shot:
            idle = asyncio.create_task(self._fleet.idle())
            asked = asyncio.create_task(self._asking.wait())
            may_end = self._outcome.running is not None and not self._outlasts_dynos
            awaited = {asked, idle} if may_end else {asked}
            try:
                await asyncio.wait(awaited, return_when="FIRST_COMPLETED")
                if may_end and idle.done() and not asked.done():
                    break
            finally:
                idle.cancel()
                asked.cancel()
            for _ in range(self._asking.take()):
                await self._update()
        await self._fleet.idle()
        self._say("Nothing is left to run")

    async def _update(self) -> None:
        try:
            fetched = await call_plugin(self._source.fetch)
        except HsupError as error:
            await self._do_without(error, partial(_failed, error))
            self._ask_later()
            return
        logger.info("the source answered %s", fetched.release or "no release")
        await self._act_on(fetched)

    async def _do_without(self, error: HsupError, telling: Telling) -> None:
        """Run without an answer of the source. Raises `error` if no release can run."""
        may_wait = self._is_waiting
        self._outcome = await self._rollout.do_without(error, telling, may_wait=may_wait)

    async def _act_on(self, fetched: Fetched) -> None:
        """Run what the source answered, then what it answered in the meantime."""
        newest: Fetched | None = fetched
        while newest is not None:
            await self._report(newest)
            if newest.release is None:
                self._say_waiting(newest)
                return
            later = await self._take(newest.release)
            for one in later[:-1]:
                await self._report(one)
            newest = later[-1] if later else None

    async def _take(self, release: Release) -> list[Fetched]:
        """Run a release; return what the source answers in the meantime."""
        taking = asyncio.create_task(self._rollout.take(release))
        try:
            later = await self._look_meanwhile(release, taking)
            self._outcome = await taking
        finally:
            taking.cancel()
            await asyncio.wait({taking})
        if self._outcome.retry_seconds is not None:
            self._ask_later(self._outcome.retry_seconds)
        return later

    async def _look_meanwhile(
        self, release: Release, taking: asyncio.Task[Outcome]
    ) -> list[Fetched]:
        """Return what the source answers until the release runs or a newer one supersedes it."""
        answers: list[Fetched] = []
        while not taking.done():
            asked = asyncio.create_task(self._asked_while_building())
            try:
                await asyncio.wait({asked, taking}, return_when="FIRST_COMPLETED")
            finally:
                asked.cancel()
            if taking.done():
                break
            if not self._rollout.builder.under_way.is_set():
                continue
            self._asking.clear()
            try:
                answers.append(await call_plugin(self._source.fetch))
            except HsupError as error:
                self._tell(_failed(error, _version(self._outcome.running), None))
                self._ask_later()
                continue
            newest = answers[-1].release
            if newest is not None and not newest.differs_in_scale_only(release):
                self._rollout.builder.supersede(newest)
                break
        return answers

    async def _asked_while_building(self) -> None:
        await self._rollout.builder.under_way.wait()
        await self._asking.wait()

    def _say_waiting(self, fetched: Fetched) -> None:
        if self._outcome.running is not None:
            return
        if not self._is_waiting:
            remedy = f": {fetched.remedy}" if fetched.remedy else ""
            self._say(f"There is no release yet, waiting for one{remedy}")
        self._is_waiting = True

    async def _report(self, fetched: Fetched) -> None:
        for warning in fetched.warnings:
            self._say(f"Warning: {warning}")
        going_on = self._going_on(fetched.release)
        if fetched.failure is not None:
            self._tell(_failed(fetched.failure, *going_on))
        if fetched.ask_again:
            self._ask_later()
        if fetched.rejected is None:
            return
        if fetched.release is None:
            await self._do_without(fetched.rejected, partial(rejection, fetched.rejected))
        else:
            self._tell(rejection(fetched.rejected, *going_on))

    def _going_on(self, release: Release | None) -> tuple[int | None, int | None]:
        """Return the version that keeps running, and the one that is started if none does."""
        running = self._outcome.running
        if running is not None or release is None or self._rollout.passes_over(release):
            return _version(running), None
        return None, release.version

    def _ask_later(self, seconds: float | None = None) -> None:
        self._asking.later(self._options.retry.wait_seconds() if seconds is None else seconds)

    def _say(self, text: str) -> None:
        self._router.say(SUPERVISOR, text)

    def _tell(self, event: Event) -> None:
        about, lines = messages.narrate(event)
        for line in lines:
            self._router.say(about, line.text, line.event, line.source)
            logger.debug("%s: %s", about, line.text)
        self._observe(event)


def _failed(error: HsupError, running: int | None, starting: int | None) -> Event:
    return SourceFailed(error=error, running=running, starting=starting)


def _version(release: Release | None) -> int | None:
    return None if release is None else release.version
