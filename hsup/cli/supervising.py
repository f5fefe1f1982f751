"""Supervise dynos from the first signal handler to the last line of output."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from signal import Signals
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from hsup.api import SUPERVISOR, Adopts, Driver, SharesPorts
from hsup.cli.components import Components, closing
from hsup.cli.draining import Draining, left_over
from hsup.cli.emergency import kill_descendants, tell_of_blocking
from hsup.cli.options import Options
from hsup.cli.printers import error_printer, log_printer, log_to_memory
from hsup.cli.signals import SignalHandlers
from hsup.descriptors import allow_many
from hsup.errors import HsupError
from hsup.events import Event
from hsup.model import DynoName
from hsup.output.logs import LogRouter
from hsup.output.only import Only
from hsup.output.printer import ErrorPrinter, Printer, RawPrinter, ScreenPrinter
from hsup.plugins.calls import Calls
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.options import SupervisorOptions
from hsup.supervision.supervisor import Supervisor
from hsup.terminal import WindowSize, window_size
from hsup.visible import say_at_once, warn, warn_of

if TYPE_CHECKING:
    from hsup.cli.job_control import JobControl
    from hsup.cli.lent_input import LentInput

logger = logging.getLogger(__name__)

#: How long a reader of the output may be stuck before hsup ends without it.
_STUCK_SECONDS = 5.0
#: The same for what hsup has logged, which is little.
_STUCK_ERRORS_SECONDS = 0.5


#: What is left to a line on a terminal, however long the prefix that hsup puts before it is.
_LEAST_COLUMNS = 40


class Request(NamedTuple):
    """What the user asked `hsup start` for.

    If `may_follow` is set, the source may say how many dynos there are; if `stays` is set,
    hsup waits for another release when nothing is left to run. For `aborts_on_exit` and
    `status_from` see SupervisorOptions. `reader` is the dyno to which hsup's own input is `lent`;
    with `has_terminals` all dynos write to terminals. `only` are the types and dynos whose lines
    are printed, all if there are none, and `look` says how: see `hsup.output.formats.formatter`.
    `called` has the variables by which options were given, by these: errors name them.
    """

    options: Options
    asked: ScaleRequest
    may_follow: bool
    stays: bool = False
    aborts_on_exit: bool = False
    status_from: str | None = None
    reader: DynoName | None = None
    lent: LentInput | None = None
    has_terminals: bool = False
    only: tuple[str, ...] = ()
    look: Mapping[str, bool] = MappingProxyType({})
    called: Mapping[str, str] = MappingProxyType({})


async def supervise(request: Request) -> int:
    """Run dynos until hsup is stopped or nothing is left to run; return the exit status."""
    has_reader = request.reader is not None
    printer = log_printer(request.options.log_format, has_reader=has_reader, **request.look)
    errors = error_printer(printer)
    try:
        session = _Supervision(request, printer, errors)
        session.handle_signals()
        return await session.run()
    finally:
        await errors.close(stuck_seconds=_STUCK_ERRORS_SECONDS)


class _Supervision:
    """A supervisor with everything that it needs. Raises HsupError if something is missing."""

    def __init__(
        self, request: Request, printer: Printer | RawPrinter, errors: ErrorPrinter
    ) -> None:
        self._request = request
        self._printer = printer
        self._errors = errors
        self._diagnostics = log_to_memory(errors, verbose=request.options.is_verbose)
        self._parts = parts = Components(request.options)
        for plugin in parts.plugins.plugins:
            logging.getLogger(plugin.entry_point.package).setLevel(logging.DEBUG)
        name, source = parts.source()
        self._driver = driver = parts.driver()
        plan = planned(request, parts, driver, name)._replace(
            passing=parts.passing(driver, relayed=True),
            shares_ports=isinstance(driver, SharesPorts) and driver.shares_ports,
            window=partial(_window, printer) if request.has_terminals else None,
        )
        if request.lent is not None:
            plan = plan._replace(has_terminal=request.lent.has_terminal)
        allow_many()
        if isinstance(printer, ScreenPrinter):
            announce = partial(printer.announce, plan.source_name, plan.driver_name)
            plan = plan._replace(announce=announce)
        sinks, self._services = parts.log_sinks(), parts.services()
        shown = Only(printer, request.only) if request.only else printer
        self._router = LogRouter([shown, *sinks])
        _log_calls(parts.calls, self._router)
        if self._services:
            self._router.remember(request.options.history_lines)
        self._hurried = asyncio.Event()
        self._draining = Draining(parts, self._router, grace_seconds=plan.grace_seconds)
        plan = plan._replace(follow_drains=self._draining.follow)
        self._supervisor = Supervisor(
            plan,
            source=source,
            driver=driver,
            router=self._router,
            observe=self._observe,
            calls=parts.calls,
        )
        self._job_control = self._controlling_jobs()

    def handle_signals(self) -> None:
        """Handle signals from now on, even while a plugin blocks the event loop."""
        SignalHandlers(
            stop=self._stop,
            reload=self._supervisor.reload,
            resize=self._supervisor.resize,
            dump=lambda: self._errors.print(self._diagnostics.text()),
            leave=self._leave,
            calls=self._parts.calls,
        ).install()
        if self._job_control is not None:
            self._job_control.install()
        tell_of_blocking(self._parts.calls)

    def _stop(self, number: Signals) -> None:
        """Stop all dynos; called again, end at once, whatever drains have not got yet."""
        self._supervisor.stop(number)
        if self._supervisor.is_hurried:
            self._hurried.set()

    def _controlling_jobs(self) -> JobControl | None:
        """Return what pauses the dyno that reads hsup's own input, None without any."""
        reader, lent = self._request.reader, self._request.lent
        if reader is None or lent is None:
            return None
        from hsup.cli.job_control import JobControl  # rarely needed

        send = partial(self._supervisor.send, reader)
        return JobControl(reader, lent, send=send, say=partial(self._router.say, str(reader)))

    def _observe(self, event: Event) -> None:
        self._parts.plugins.observe(event)
        if self._job_control is not None:
            self._job_control.observe(event)

    async def run(self) -> int:
        """Run to the end; return the exit status."""
        status, failure = 1, None
        try:
            with self._parts.options.naming_files(), closing(self._driver):
                status = await self._supervisor.run(self._services)
        except Exception as error:  # noqa: BLE001 - it is raised or printed below
            failure = error
        finally:
            await self._close()
        if self._has_left_something:  # asyncio would wait for it
            await self._errors.close(stuck_seconds=_STUCK_ERRORS_SECONDS)
            self._exit(_print_failure(failure) if failure else status)
        if failure:
            raise failure
        return status

    async def _close(self) -> None:
        """Print all remaining output, unless its reader is stuck."""
        if self._has_left_something:
            kill_descendants()
        undelivered = await self._draining.finish(self._hurried)
        stuck_seconds = 0.1 if self._supervisor.is_hurried else _STUCK_SECONDS
        await self._router.close(stuck_seconds=stuck_seconds)
        for one in undelivered:
            for text in left_over(one):
                self._errors.print(f"hsup: {text}\n")

    @property
    def _has_left_something(self) -> bool:
        return self._supervisor.has_given_up or self._parts.calls.has_abandoned

    def _leave(self, number: Signals) -> NoReturn:
        """Exit at once, from a signal handler; print what was killed and what keeps running.

        The next hsup adopts or removes dynos that are not processes of this one.
        """
        if isinstance(self._printer, ScreenPrinter):
            with suppress(Exception):  # the signal may have come while it was printing
                self._printer.print_held()
        for call in self._parts.calls.waited_for():
            say_at_once(f"stopped waiting for {call}")
        has_killed = kill_descendants()
        if isinstance(self._driver, Adopts) or not has_killed:
            for name in self._supervisor.running():
                say_at_once(f"left {name} running; start hsup again to adopt or remove it")
        for one in self._draining.undelivered():
            for text in left_over(one):
                say_at_once(text)
        self._exit(128 + number)

    def _exit(self, status: int) -> NoReturn:
        """Exit without waiting for anything that runs, but leave the terminal as it was."""
        if self._request.lent is not None:
            self._request.lent.restore()
        os._exit(status)


def planned(
    request: Request, parts: Components, driver: Driver, source_name: str
) -> SupervisorOptions:
    """Return the options of the supervisor.

    Raises UsageError for an option with which the driver cannot be used.
    """
    options, asked = request.options, request.asked
    for option, is_given in (("--stdin", request.reader), ("--tty", request.has_terminals)):
        if is_given:
            parts.require_shared_streams(driver, request.called.get(option, option))
    parts.check_sizes(driver, asked)
    follows = request.may_follow and parts.source_factory(source_name).follows_formation
    return SupervisorOptions(
        source_name=source_name,
        driver_name=options.driver,
        asked=asked._replace(follows_release=True) if follows else asked,
        binds=options.binds,
        has_metadata=options.has_metadata,
        port=options.port,
        one_shot=options.one_shot,
        aborts_on_exit=request.aborts_on_exit,
        status_from=request.status_from,
        reads_own_input=request.reader,
        shown=request.only,
        called=request.called,
        stays=request.stays,
        follows_formation=follows,
        runtime_metrics=options.runtime_metrics,
        grace_seconds=options.grace_seconds,
    )


def _window(printer: Printer | RawPrinter) -> WindowSize:
    """Return the size of a dyno's terminal: that of hsup's own without the prefix of a line."""
    try:
        rows, columns = window_size(1)
    except OSError:  # it is no terminal
        return WindowSize(rows=24, columns=80)
    return WindowSize(rows, max(columns - printer.prefix_columns, _LEAST_COLUMNS))


def _log_calls(calls: Calls, router: LogRouter) -> None:
    """Report the calls of plugins in the dynos' log, and in hsup's own log."""
    calls.has_alarm = False
    calls.say = partial(router.say, SUPERVISOR)
    calls.warn = logger.warning
    calls.note = lambda text, error: logger.debug("%s", text, exc_info=error)


def _print_failure(failure: Exception) -> int:
    """Print a failure as the command line would; return the exit status."""
    if isinstance(failure, HsupError):
        warn(str(failure))
        return failure.exit_code
    warn_of(failure)
    return 1
