"""`hsup start`: the dynos of an application, supervised."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from signal import Signals
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from hsup.api import SUPERVISOR, Adopts, LogSink
from hsup.cli.config import wants_colour
from hsup.cli.diagnostics import DiagnosticLog, PrintedLog, VisibleFormatter
from hsup.cli.emergency import kill_descendants, tell_of_blocking
from hsup.cli.options import Options
from hsup.cli.parts import Parts, closing
from hsup.cli.shared import SharingCommand
from hsup.cli.signals import SignalHandlers
from hsup.descriptors import allow_many, require_least
from hsup.errors import HsupError, UsageError
from hsup.numerals import are_digits, whole_number
from hsup.output.formats import formatter
from hsup.output.logs import LogRouter
from hsup.output.printer import ErrorPrinter, Printer, RawPrinter
from hsup.plugins.calls import Calls
from hsup.supervision.formation import Asked
from hsup.supervision.plan import Plan
from hsup.supervision.supervisor import Supervisor
from hsup.visible import say_at_once, warn, warn_of

logger = logging.getLogger(__name__)

_STDOUT, _STDERR = 1, 2  # also where Python has closed its own

#: How long a reader of the output may take nothing before hsup ends without it.
_STUCK_SECONDS = 5.0
#: As long as that for what hsup has logged, which is little.
_STUCK_ERRORS_SECONDS = 0.5

#: More dynos of one type than any machine runs are a slip of the finger.
_MOST_DYNOS = 10_000


@click.command(
    "start",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup start                        one dyno of every type
  hsup start web=2 worker           two of web, one of worker, none of others
  hsup start web=2:standard-2x      two of web, with more memory each
  hsup start --quantities release   as many as the release says
  hsup start --oneshot              each once; end when all have ended

\b
Signals: TERM and INT stop all dynos and end hsup, a second one (or QUIT)
does so at once, a third one waits for nothing; HUP asks the source for its
release again; USR1 prints a diagnostic log.""",
)
@click.argument("types", metavar="[TYPE[=N[:SIZE]]]...", nargs=-1)
@click.option(
    "--quantities",
    type=click.Choice(["one", "release"]),
    envvar="HSUP_QUANTITIES",
    help="Where no TYPE is given: one dyno of each type with a quantity above zero, or as many "
    "as the release says.  [default: one; release on Heroku]  [HSUP_QUANTITIES]",
)
@click.option(
    "--stay/--no-stay",
    envvar="HSUP_STAY",
    help="Wait for another release when nothing is left to run.  [HSUP_STAY]",
)
@click.pass_obj
def command(
    before: Options,
    /,
    types: tuple[str, ...],
    quantities: str | None,
    *,
    stay: bool,
    **given: Any,
) -> None:
    """Start dynos, and keep them running until hsup is stopped.

    A new release of the source replaces what it changes, and nothing else.
    Ends with 0 after SIGTERM, 130 after SIGINT; with 1 if a dyno had to be
    killed because it did not end in time.
    """
    options = before.refined(given)
    said_by = click.get_current_context().get_parameter_source("quantities")
    if types and quantities == "release" and said_by == ParameterSource.COMMANDLINE:
        raise UsageError("--quantities release and TYPE exclude one another")
    wanted = _parse_types(types)
    asked = Asked(
        quantities={name: quantity for name, (quantity, _) in wanted.items()} or None,
        sizes={name: size for name, (_, size) in wanted.items() if size},
        size=options.size,
        follows_release=not types and quantities == "release",
        start_number=options.start_number or 1,
    )
    may_follow = not types and quantities is None
    require_least()
    _keep_descriptors_from_dynos()
    gc.freeze()  # what is imported now stays
    gc.enable()
    sys.exit(asyncio.run(_start(options, asked, stays=stay, may_follow=may_follow)))


async def _start(options: Options, asked: Asked, *, stays: bool, may_follow: bool) -> int:
    printer = _printer(options)
    errors = ErrorPrinter(_error_printer(printer))
    try:
        return await _supervise(options, asked, printer, errors, stays=stays, may_follow=may_follow)
    finally:
        await errors.close(stuck_seconds=_STUCK_ERRORS_SECONDS)


async def _supervise(
    options: Options,
    asked: Asked,
    printer: LogSink,
    errors: ErrorPrinter,
    *,
    stays: bool,
    may_follow: bool,
) -> int:
    diagnostics = _log_to_memory(errors, verbose=options.is_verbose)
    parts = Parts(options)
    for plugin in parts.plugins.plugins:
        logging.getLogger(plugin.entry_point.package).setLevel(logging.DEBUG)
    source_name, source = parts.source()
    follows = may_follow and parts.source_factory(source_name).follows_formation
    if follows:
        asked = replace(asked, follows_release=True)
    driver = parts.driver()
    allow_many()
    parts.check_sizes(driver, asked.sizes.values())
    plan = Plan(
        source_name=source_name,
        driver_name=options.driver,
        asked=asked,
        binds=options.binds,
        has_metadata=options.has_metadata,
        one_shot=options.one_shot,
        stays=stays,
        follows_formation=follows,
        has_drain="logplex" in parts.plugins.log_sinks,
        grace_seconds=options.grace_seconds,
    )
    sinks, services = parts.log_sinks(), parts.services()
    router = LogRouter([printer, *sinks])
    _log_calls(parts.calls, router)
    supervisor = Supervisor(
        plan,
        source=source,
        driver=driver,
        router=router,
        observe=parts.plugins.observe,
        calls=parts.calls,
    )
    SignalHandlers(
        stop=supervisor.stop,
        reload=supervisor.reload,
        dump=lambda: errors.print(diagnostics.text()),
        leave=lambda number: _leave(
            number, supervisor, parts.calls, outlives_hsup=isinstance(driver, Adopts)
        ),
        calls=parts.calls,
    ).install()
    tell_of_blocking(parts.calls)
    status, failure = 1, None
    try:
        with closing(driver):
            status = await supervisor.run(services)
    except Exception as error:  # noqa: BLE001 - it is raised, or told, below
        failure = error
    finally:
        if supervisor.has_given_up or parts.calls.has_abandoned:
            kill_descendants()
        await router.close(stuck_seconds=0.1 if supervisor.is_hurried else _STUCK_SECONDS)
    if supervisor.has_given_up or parts.calls.has_abandoned:
        await errors.close(stuck_seconds=_STUCK_ERRORS_SECONDS)
        os._exit(_told(failure) if failure else status)  # the loop would wait for what is left
    if failure:
        raise failure
    return status


def _told(failure: Exception) -> int:
    """Print what hsup ends with, as whoever catches it would have; return the exit status."""
    if isinstance(failure, HsupError):
        warn(str(failure))
        return failure.exit_code
    warn_of(failure)
    return 1


def _log_calls(calls: Calls, router: LogRouter) -> None:
    """Have what plugins do told with the dynos' output, and in hsup's own log."""
    calls.has_alarm = False
    calls.say = partial(router.say, SUPERVISOR)
    calls.warn = logger.warning
    calls.note = lambda text, error: logger.debug("%s", text, exc_info=error)


def _leave(
    number: Signals, supervisor: Supervisor, calls: Calls, *, outlives_hsup: bool
) -> NoReturn:
    """End hsup at once, from a signal handler, and say what was killed and what is left behind.

    `outlives_hsup` tells of dynos that are no processes of hsup's, to be adopted by the next.
    """
    for call in calls.waited_for():
        say_at_once(f"gave up waiting for {call}")
    has_killed = kill_descendants()
    if outlives_hsup or not has_killed:
        for name in supervisor.running():
            say_at_once(f"left {name} behind: start hsup again to adopt or remove it")
    os._exit(128 + number)


def _keep_descriptors_from_dynos() -> None:
    """Let no dyno inherit what whoever started hsup left open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > _STDERR:
            try:
                os.set_inheritable(int(name), False)  # noqa: FBT003 - os takes it by place only
            except OSError:  # the one that listed the folder
                pass


def _parse_types(words: Iterable[str]) -> Mapping[str, tuple[int, str | None]]:
    """Parse `web=2:standard-2x worker`: quantities and sizes by type. Raises UsageError."""
    asked: dict[str, tuple[int, str | None]] = {}
    for word in words:
        name, equals, rest = word.partition("=")
        number, colon, size = rest.partition(":")
        if not name:
            raise UsageError(f'"{word}": the process type is missing, as in web=2')
        if colon and not size:
            raise UsageError(f'"{word}": the size is missing, as in web=2:standard-2x')
        if name in asked:
            raise UsageError(f'"{word}": the type "{name}" was already given')
        asked[name] = (_parse_quantity(word, number) if equals else 1, size or None)
    return asked


def _parse_quantity(word: str, number: str) -> int:
    if not are_digits(number):
        text = f'"{word}": the quantity must be a whole number of 0 or more, got "{number}"'
        raise UsageError(text)
    quantity = whole_number(number.lstrip("0") or "0")
    if quantity is None or quantity > _MOST_DYNOS:
        raise UsageError(f'"{word}": more than {_MOST_DYNOS} dynos of a type')
    return quantity


def _error_printer(printer: Printer | RawPrinter) -> Printer:
    """Return what prints on standard error, which may be where the log goes."""
    if isinstance(printer, RawPrinter):
        return printer.errors
    if os.path.sameopenfile(_STDOUT, _STDERR):
        return printer
    return Printer(_STDERR, formatter("raw", coloured=False), marks_gaps=False)


def _printer(options: Options) -> Printer | RawPrinter:
    if options.log_format == "raw":
        return RawPrinter(_STDOUT, _STDERR)
    return Printer(_STDOUT, formatter(options.log_format, coloured=wants_colour(_STDOUT)))


class _WithoutTraceback(VisibleFormatter):
    """Leaves tracebacks to the diagnostic log, which has all of them."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return nothing."""
        del ei
        return ""


def _log_to_memory(errors: ErrorPrinter, *, verbose: bool) -> DiagnosticLog:
    """Keep hsup's own log for SIGUSR1; print warnings, or more."""
    kept = DiagnosticLog()
    printed = PrintedLog(errors.print, logging.INFO if verbose else logging.WARNING)
    printed.setFormatter(_WithoutTraceback("hsup: %(message)s"))
    logging.getLogger("hsup").setLevel(logging.DEBUG)
    root = logging.getLogger()  # plugins and libraries warn too
    root.addHandler(kept)
    root.addHandler(printed)
    return kept
