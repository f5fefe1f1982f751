"""Measure the dynos that are up, and log what they use, as the platform does."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from hsup.api import SUPERVISOR, LoadAverages, Measurement, Measures, RunningDyno
from hsup.errors import HsupError
from hsup.model import DynoName, DynoSpec
from hsup.output.lines import Line
from hsup.output.logs import LogRouter
from hsup.output.metrics import load_line, memory_line
from hsup.supervision.load import load_after

logger = logging.getLogger(__name__)

#: How often a dyno is measured. The first time comes within as long, by chance, so that dynos that
#: were started together are not measured together.
PERIOD_SECONDS = 20.0
#: How long that may take.
_MOST_SECONDS = 20.0


class RuntimeMetrics:
    """Measures each dyno that is up about every 20 s, and logs what it uses.

    Each dyno has a task of its own: one that takes long, or fails, delays no other. With a
    `driver_name`, a driver that cannot measure is reported. `app_id` is the platform's id of the
    application, if that is known.
    """

    def __init__(
        self,
        router: LogRouter,
        *,
        driver_name: str | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.app_id: str | None = None
        self._router = router
        self._driver_name = driver_name
        self._sleep = sleep
        self._clock = clock
        self._chance = chance
        self._following: dict[DynoName, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # also those that are being cancelled
        self._failed: set[DynoName] = set()

    def begin(self, spec: DynoSpec, dyno: RunningDyno) -> None:
        """Measure a dyno, which has just come up, from now on."""
        if not isinstance(dyno, Measures):
            self._report_driver()
        elif spec.name not in self._following:
            task = asyncio.get_running_loop().create_task(self._follow(spec, dyno))
            self._following[spec.name] = task
            self._tasks.add(task)
            task.add_done_callback(self._forget)

    def end(self, name: DynoName) -> None:
        """Measure a dyno no more, if it is measured."""
        if (task := self._following.pop(name, None)) is not None:
            task.cancel()

    def cancel(self) -> None:
        """Measure no dyno any more."""
        for name in list(self._following):
            self.end(name)

    async def close(self) -> None:
        """Measure no dyno any more, and return when no measurement is under way."""
        self.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _follow(self, spec: DynoSpec, dyno: Measures) -> None:
        """Measure a dyno until this is cancelled."""
        name = str(spec.name)
        identity = self._identity(spec)
        load, since = LoadAverages(), self._clock()
        await self._sleep(PERIOD_SECONDS * self._chance())
        while True:
            measured = await self._measured(spec.name, dyno)
            if measured is not None and measured.runnable is not None:
                before, since = since, self._clock()
                load = load_after(load, since - before, measured.runnable)
                self._log(name, load_line(name, identity, load))
            if measured is not None:
                self._log(name, memory_line(name, identity, measured))
            await self._sleep(PERIOD_SECONDS)

    def _identity(self, spec: DynoSpec) -> str:
        """Return the platform's name of a dyno: with the id that it knows itself by, or a new one.

        See `hsup.supervision.dyno_spec`.
        """
        uuid = spec.metadata.get("HEROKU_DYNO_ID") or uuid4()
        return f"heroku.{self.app_id or spec.app}.{uuid}"

    async def _measured(self, name: DynoName, dyno: Measures) -> Measurement | None:
        """Return what a dyno uses; report the first failure of each name."""
        try:
            async with asyncio.timeout(_MOST_SECONDS):
                return await dyno.measure()
        except TimeoutError:
            self._report(name, f"measuring it took more than {_MOST_SECONDS:g} s")
        except HsupError as error:
            self._report(name, str(error))
        return None

    def _report(self, name: DynoName, reason: str) -> None:
        logger.debug("cannot measure %s: %s", name, reason)
        if name not in self._failed:
            self._failed.add(name)
            self._router.say(str(name), f"Warning: cannot log runtime metrics: {reason}")

    def _report_driver(self) -> None:
        driver, self._driver_name = self._driver_name, None
        if driver is not None:
            text = f'driver "{driver}" cannot measure dynos, so there are no runtime metrics'
            self._router.say(SUPERVISOR, f"Warning: {text}")

    def _log(self, dyno: str, line: Line | None) -> None:
        """Log a line, unless nobody reads the log: the next measurement is not far."""
        if line is None or self._router.is_full:
            return
        self._router.say(dyno, line.text, line.event, line.source)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("cannot go on measuring a dyno: %s", error, exc_info=error)
