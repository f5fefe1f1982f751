"""Choose the parts that a command works with: plugins, source and driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from hsup.api import (
    BindsPaths,
    Claim,
    Closes,
    Driver,
    Fetched,
    FetchesSlugs,
    LogSink,
    Service,
    Settings,
    SizesDynos,
    Source,
    Sweeps,
)
from hsup.cli.options import Options
from hsup.errors import DriverError, HsupError, SourceError, UsageError
from hsup.long_work import LongWork, waited_for
from hsup.model import Release
from hsup.plugins import catalogue
from hsup.plugins.calls import Calls, Component
from hsup.plugins.guards import (
    GuardedSourceFactory,
    PluginFailed,
    create_driver,
    create_service,
    create_sink,
)
from hsup.plugins.manager import PluginManager, Registered
from hsup.visible import say_at_once, warn, warn_of

_Factory = TypeVar("_Factory")
_Made = TypeVar("_Made")


class Components:
    """The plugins, and what the options choose among what they register."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings: Settings = options.settings()
        self.calls = Calls(
            say=say_at_once,  # a signal handler calls it
            warn=_warn,
            note=_note if options.is_verbose else _ignore,
            has_alarm=True,
        )
        self.plugins = PluginManager(calls=self.calls)
        self._fetch_slug: Callable[[Release], None] | None = None
        self._sources = {
            name: GuardedSourceFactory(self.calls, self.plugins.sources.part(name), factory)
            for name, factory in self.plugins.sources.items()
        }
        for fault in self.plugins.faults():
            warn(f"warning: {fault}")
        self._require_optional_parts()

    def source(self) -> tuple[str, Source]:
        """Return the source that was asked for, or else the one with the strongest claim."""
        name = self.source_name()
        return name, self.source_factory(name).create(self.settings)

    def source_factory(self, name: str) -> GuardedSourceFactory:
        """Return what makes a source."""
        self.plugins.sources.choose(name)  # raises where there is none
        return self._sources[name]

    def source_name(self) -> str:
        """Return the name of the source to use.

        Raises UsageError where there is none, saying what each of them needs.
        """
        if self.options.source:
            return self.options.source
        if missing := catalogue.source_asked_for(self.settings.environ, self._sources):
            return missing
        claims = {name: self._claim(name) for name in self.source_names()}
        strongest = max(claims.values(), default=Claim.NONE)
        if strongest is not Claim.NONE:
            first, *others = (name for name, claim in claims.items() if claim is strongest)
            if others:
                _warn(_clash(first, others))
            return first
        installed = {name: self._sources[name].remedy for name in self.source_names()}
        remedies = {**catalogue.REMEDIES, **installed}
        raise UsageError("there is no source of releases", hint=", or ".join(remedies.values()))

    def _claim(self, name: str) -> Claim:
        """Return a source's claim; one that fails has none, and keeps no other from its own."""
        try:
            return self._sources[name].applies(self.settings)
        except HsupError as error:
            _warn(str(error))
            return Claim.NONE

    def source_names(self) -> list[str]:
        """Return the names of all sources, in the order of asking."""
        return sorted(self._sources)

    def named_driver(self, name: str) -> Driver:
        """Return the driver of a name. Raises HsupError."""
        drivers = self.plugins.drivers
        factory = drivers.choose(name)
        return create_driver(self.calls, drivers.part(name), factory, self.settings)

    def driver(self) -> Driver:
        """Return the driver. Raises DriverError where it cannot do what was asked."""
        name = self.options.driver
        driver = self.named_driver(name)
        print_warnings()
        if self.options.binds and not isinstance(driver, BindsPaths):
            raise DriverError(
                f"the driver {name} cannot bind paths: its dynos see this machine's own",
                hint="leave out --bind, or use a driver with containers: -d docker",
            )
        if self.options.size:
            self.check_sizes(driver, [self.options.size])
        return driver

    def check_sizes(self, driver: Driver, sizes: Iterable[str]) -> None:
        """Raise UsageError for sizes that the driver has not got, or for any if it has none."""
        for size in sizes:
            if not isinstance(driver, SizesDynos):
                raise UsageError(
                    f"the driver {self.options.driver} does not limit dynos, so they have no size",
                    hint="leave out the size, or use a driver with containers: -d docker",
                )
            try:
                driver.check_size(size)
            except DriverError as error:
                raise UsageError(str(error)) from error

    def log_sinks(self) -> list[LogSink]:
        """Return the sinks that the settings ask for, besides the terminal."""
        return self._made(self.plugins.log_sinks, create_sink)

    def services(self) -> list[Service]:
        """Return the services that the settings ask for."""
        return self._made(self.plugins.services, create_service)

    def _made(
        self,
        factories: Registered[_Factory],
        create: Callable[[Calls, Component, _Factory, Settings], _Made | None],
    ) -> list[_Made]:
        parts = []
        for name, factory in factories.items():
            try:
                part = create(self.calls, factories.part(name), factory, self.settings)
            except PluginFailed as error:
                _warn(str(error))  # it must not keep the dynos from running
                continue
            if part is not None:
                parts.append(part)
        return parts

    def current_release(self) -> Release:
        """Return the newest good release, telling on standard error what is wrong with others.

        Raises SourceError where there is none yet.
        """
        _, source = self.source()
        if isinstance(source, FetchesSlugs):
            self._fetch_slug = source.fetch_slug
        print_warnings()
        fetched = source.fetch()
        tell_faults(fetched)
        if fetched.release is not None:
            return fetched.release
        raise fetched.rejected or SourceError("there is no release yet", hint=fetched.remedy)

    def build(self, driver: Driver, release: Release) -> None:
        """Have all done that comes before the first dyno of the current release."""
        with waited_for(LongWork(f"the slug of v{release.version}")):
            if self._fetch_slug is not None:
                self._fetch_slug(release)
            driver.build(release)

    def _require_optional_parts(self) -> None:
        """Refuse an option that nothing installed would heed."""
        if self.settings.control_socket:
            self.plugins.services.choose("control")
        if self.settings.logplex_url:
            self.plugins.log_sinks.choose("logplex")


def print_warnings() -> None:
    """Have what is logged printed as all else is, if anything was imported that logs."""
    if "logging" in sys.modules:
        from hsup.cli.diagnostics import print_visibly

        print_visibly()


def sweep(driver: Driver) -> None:
    """Remove what a dead hsup left, and say so; a plugin's mistake in it stops no dyno."""
    if not isinstance(driver, Sweeps):
        return
    try:
        for leftover in driver.sweep():
            warn(f"removed what a dead hsup left: {leftover}")
    except HsupError as error:
        if not error.is_mistake:
            raise
        _warn(str(error))


@contextmanager
def closing(driver: Driver) -> Iterator[None]:
    """Have a driver release at the end what its dynos shared; that it cannot, is told."""
    try:
        yield
    finally:
        if isinstance(driver, Closes):
            try:
                driver.close()
            except HsupError as error:
                _warn(str(error))


def tell_faults(fetched: Fetched) -> None:
    """Say what is wrong with what a source was given, if a release goes on all the same."""
    for warning in fetched.warnings:
        warn(f"warning: {warning}")
    if fetched.failure is not None:
        warn(f"warning: {fetched.failure}")
    if fetched.rejected is not None and fetched.release is not None:
        going_on = f"using {fetched.release} instead"
        warn(f"warning: {fetched.rejected}; {going_on}")


def _clash(first: str, others: Iterable[str]) -> str:
    names = ", ".join((first, *others))
    return f"several sources apply alike ({names}), using {first}; choose one with --source"


def _warn(text: str) -> None:
    warn(f"warning: {text}")


def _note(text: str, error: BaseException | None) -> None:
    warn(text)
    if error is not None and not isinstance(error, HsupError):
        warn_of(error)


def _ignore(text: str, error: BaseException | None) -> None:
    """Note nothing."""
