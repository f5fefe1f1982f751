"""Run a one-off dyno for `hsup run`, whether or not click has parsed its options."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NoReturn

from hsup.api import Driver, RunsForeground, SharesPorts
from hsup.cli.components import Components, closing, sweep
from hsup.cli.options import Options
from hsup.descriptors import allow_many, require_least
from hsup.errors import HsupError, UsageError
from hsup.model import RELEASE_TYPE, DynoName, DynoSpec, Release
from hsup.plugins import catalogue
from hsup.supervision.dyno_spec import dyno_spec, one_off_command, one_off_name
from hsup.supervision.exec_limits import require_passable
from hsup.supervision.ports import AUTO, BASE_PORT, Base, Ports, base_of
from hsup.terminal import end_by_signals, flags_kept
from hsup.visible import warn

if TYPE_CHECKING:
    from hsup.copying.runner import Runner


def run(words: tuple[str, ...], options: Options) -> NoReturn:
    """Run a command as a one-off dyno of the current release, and exit with its status."""
    require_least()
    grace_seconds = options.grace_seconds
    parts = Components(options)
    release = parts.current_release()
    driver = parts.driver()
    allow_many()
    name = _name(options)
    spec = _spec(release, name, words, parts, driver)
    if warning := catalogue.ignored_slug(options.driver, driver, release):
        warn(warning)
    if not isinstance(driver, RunsForeground):
        text = f'driver "{options.driver}" cannot run a command in the foreground'
        raise UsageError(text, hint="choose another driver, for example -d simple")
    with _copied(parts, release, name) as copying, closing(driver):
        sweep(driver)
        parts.build(driver, release)
        with _failures_printed(copying), flags_kept(), copying or nullcontext():
            status = driver.run(spec, grace_seconds)
        if status.out_of_memory:
            _tell(_out_of_memory(), copying)
    _leave(status.status)


def _copied(
    parts: Components, release: Release, name: DynoName
) -> AbstractContextManager[Runner | None]:
    """Have log drains get what the dyno writes, if there are any."""
    if not parts.has_drains(release):
        return nullcontext()
    from hsup.cli.one_off_drains import copied  # only where there are drains

    return copied(parts, release, name)


@contextmanager
def _failures_printed(copying: Runner | None) -> Iterator[None]:
    """Print why a driver failed before a signal ends hsup; kill what its mistake left."""
    try:
        yield
    except HsupError as error:
        _tell(str(error), copying)
        end_by_signals()
        if error.is_mistake:
            from hsup.cli.emergency import kill_descendants  # slow to import, rarely needed

            kill_descendants(copying.processes if copying is not None else ())
        sys.exit(error.exit_code)


def _tell(text: str, copying: Runner | None) -> None:
    warn(text)
    if copying is not None:
        copying.say(text)


def _out_of_memory() -> str:
    from hsup.output import messages  # slow to import, rarely needed

    return f"the dyno ran out of memory: {messages.OUT_OF_MEMORY}"


def _leave(status: int) -> NoReturn:
    """Exit without finalizing the interpreter, which takes longer than starting a dyno."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if the caller closed it
        stream.flush()
    os._exit(status)


def _name(options: Options) -> DynoName:
    if options.start_number is not None:
        return DynoName("run", options.start_number)
    return one_off_name("run")


def _spec(
    release: Release,
    name: DynoName,
    words: tuple[str, ...],
    parts: Components,
    driver: Driver,
) -> DynoSpec:
    options = parts.options
    command = one_off_command(release, words)
    require_passable(release, [command], has_metadata=options.has_metadata)
    return dyno_spec(
        release,
        name,
        command,
        port=_port(release, name, options.port, driver),
        size=options.size,
        binds=options.binds,
        has_metadata=options.has_metadata,
        passing=parts.passing(driver),
    )


def _port(release: Release, name: DynoName, asked: Base | None, driver: Driver) -> int | None:
    """Return the port of a one-off dyno, None for the PORT of its release.

    Raises InvalidRelease for a PORT from which no free one can be counted.
    """
    if isinstance(asked, int):
        return asked
    if asked is None and release.config.get("PORT"):
        return None
    types = (process.name for process in release.processes if process.name != RELEASE_TYPE)
    ports = Ports(types, BASE_PORT if asked is None else base_of(release))
    if asked == AUTO and isinstance(driver, SharesPorts) and driver.shares_ports:
        from hsup.supervision import port_conflicts, port_reservation  # rarely needed

        wanted = {name: ports.preferred(name)}
        granted = port_reservation.PortReservation().take
        free = port_conflicts.free_base(wanted, ports.base, port_conflicts.probe, granted)
        ports.count_from(free or ports.base)
    return ports.lease(name)
