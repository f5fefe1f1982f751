"""Choose the components that a command works with: plugins, source and driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TypeVar

from hsup.api import (
    BindsPaths,
    Claim,
    Closes,
    Driver,
    DriverFactory,
    Fetched,
    FetchesSlugs,
    IgnoresSlugs,
    LogSink,
    Service,
    Settings,
    SharesStreams,
    SizesDynos,
    Source,
    Sweeps,
)
from hsup.cli.options import Options
from hsup.errors import DriverError, HsupError, SourceError, UsageError
from hsup.long_work import LongWork, waited_for
from hsup.model import Release
from hsup.plugins import catalogue
from hsup.plugins.calls import Calls, PluginPart
from hsup.plugins.guards import (
    GuardedSourceFactory,
    PluginFailed,
    create_driver,
    create_service,
    create_sink,
)
from hsup.plugins.manager import PluginManager, Registered
from hsup.supervision.passing import Passing
from hsup.visible import say_at_once, warn, warn_of

if TYPE_CHECKING:
    from hsup.drains.destinations import Wanted
    from hsup.log_drain import Destination, LogDrain
    from hsup.supervision.formation import ScaleRequest

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
        """Create the chosen source, else the one with the strongest claim; return its name too."""
        name = self.source_name()
        factory = self.source_factory(name)
        if self.settings.follows_drains and not factory.follows_drains:
            called = self.options.called("follow_drains")
            text = f'source "{name}" cannot ask a platform for log drains'
            _warn(f"{called} has no effect: {text}")
        return name, factory.create(self.settings)

    def passing(self, driver: Driver, *, relayed: bool = False) -> Passing:
        """Return what dynos get of the caller's environment; see `Passing`."""
        in_place = isinstance(driver, IgnoresSlugs) and driver.ignores_slugs
        passing = Passing(
            environ=self.settings.environ,
            patterns=self.options.passed_names,
            in_place=in_place and not self.options.has_clean_environment,
            relayed=relayed,
        )
        for warning in passing.warnings():
            _warn(f"{self.options.called('pass_env')}: {warning}")
        return passing

    def source_factory(self, name: str) -> GuardedSourceFactory:
        """Return the factory of a source. Raises PluginError if it is not installed."""
        with self.options.naming("source") if name == self.options.source else nullcontext():
            self.plugins.sources.choose(name)  # raises if it is not installed
        return self._sources[name]

    def source_name(self) -> str:
        """Return the name of the source to use.

        Raises UsageError if no source applies, with a hint that says what each one needs.
        """
        if self.options.source:
            return self.options.source
        is_named = self.settings.procfile is not None
        missing = catalogue.source_asked_for(self.settings.environ, self._sources)
        if missing and not is_named:
            return missing
        claims = {name: self._claim(name) for name in self.source_names()}
        strongest = max(claims.values(), default=Claim.NONE)
        if strongest is not Claim.NONE:
            first, *others = (name for name, claim in claims.items() if claim is strongest)
            if others:
                _warn(_clash(first, others))
            return first
        installed = {name: self._sources[name].remedy for name in self.source_names()}
        raise catalogue.no_source(self.settings, {**catalogue.REMEDIES, **installed})

    def _claim(self, name: str) -> Claim:
        """Return a source's claim; none if it fails, so that the other sources still count."""
        try:
            return self._sources[name].applies(self.settings)
        except HsupError as error:
            _warn(str(error))
            return Claim.NONE

    def source_names(self) -> list[str]:
        """Return the names of all sources, sorted."""
        return sorted(self._sources)

    def named_driver(self, name: str) -> Driver:
        """Create the driver of that name. Raises HsupError."""
        factory = self._driver_factory(name)
        part = self.plugins.drivers.part(name)
        return create_driver(self.calls, part, factory, self.settings)

    def require_driver(self, name: str) -> None:
        """Raise PluginError if a driver is not installed."""
        self._driver_factory(name)

    def _driver_factory(self, name: str) -> DriverFactory:
        with self.options.naming("driver") if name == self.options.driver else nullcontext():
            return self.plugins.drivers.choose(name)

    def driver(self) -> Driver:
        """Create the chosen driver. Raises UsageError if it cannot do what the options ask."""
        name = self.options.driver
        driver = self.named_driver(name)
        print_warnings()
        if self.options.binds and not isinstance(driver, BindsPaths):
            with self.options.naming("binds"):
                raise UsageError(
                    f'driver "{name}" cannot bind paths: its dynos see the paths of this machine',
                    hint="leave out --bind, or use a driver with containers: -d docker",
                )
        if self.options.size:
            with self.options.naming("size"):
                self._check_sizes(driver, [self.options.size])
        return driver

    def check_sizes(self, driver: Driver, asked: ScaleRequest) -> None:
        """Raise UsageError for a size that was asked for, and that the driver does not have."""
        with asked.named():
            self._check_sizes(driver, filter(None, (*asked.sizes.values(), asked.size)))

    def _check_sizes(self, driver: Driver, sizes: Iterable[str]) -> None:
        for size in sizes:
            if not isinstance(driver, SizesDynos):
                raise UsageError(
                    f'driver "{self.options.driver}" does not limit dynos, so they have no size',
                    hint="leave out the size, or use a driver with containers: -d docker",
                )
            try:
                driver.check_size(size)
            except DriverError as error:
                raise UsageError(str(error)) from error

    def require_shared_streams(self, driver: Driver, option: str) -> None:
        """Raise UsageError if dynos of the driver cannot have what an option gives them."""
        if not (isinstance(driver, SharesStreams) and driver.shares_streams):
            raise UsageError(
                f'driver "{self.options.driver}" cannot be used with {option}',
                hint="leave it out, use -d simple, or start the command with hsup run",
            )

    def log_sinks(self) -> list[LogSink]:
        """Create the log sinks that the settings ask for, besides the terminal."""
        return self._made(self.plugins.log_sinks, create_sink)

    def has_drains(self, release: Release | None = None) -> bool:
        """Tell whether the user, or a release, names log drains."""
        if self.options.drains or self.settings.logplex_url:
            return True
        return release is not None and bool(release.drains or release.logplex_url)

    def own_drains(self) -> list[Wanted]:
        """Return the log drains that the user named. Raises UsageError."""
        from hsup.drains.destinations import LOGPLEX, wanted  # only where there are drains

        with self.options.naming("drains"):
            drains = [wanted(url) for url in self.options.drains]
            for one in drains:
                self.plugins.log_drains.choose(one.kind)  # raises if it is not installed
        if self.settings.logplex_url is not None:
            with self.options.naming("logplex_url"):
                drains.append(wanted(self.settings.logplex_url, kind=LOGPLEX))
        return drains

    def drain(self, kind: str, destination: Destination) -> LogDrain:
        """Create a log drain of a kind. Raises HsupError."""
        from hsup.plugins.drain_guard import create_drain  # only where there are drains

        factory = self.plugins.log_drains.choose(kind)
        return create_drain(self.calls, self.plugins.log_drains.part(kind), factory, destination)

    def services(self) -> list[Service]:
        """Create the services that the settings ask for."""
        return self._made(self.plugins.services, create_service)

    def _made(
        self,
        factories: Registered[_Factory],
        create: Callable[[Calls, PluginPart, _Factory, Settings], _Made | None],
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
        """Return the newest good release; print what is wrong with others to standard error.

        Raises SourceError if there is no release yet.
        """
        _, source = self.source()
        if isinstance(source, FetchesSlugs):
            self._fetch_slug = source.fetch_slug
        print_warnings()
        with self.options.naming_files():
            fetched = source.fetch()
        tell_faults(fetched)
        if fetched.release is not None:
            return fetched.release
        raise fetched.rejected or SourceError("there is no release yet", hint=fetched.remedy)

    def build(self, driver: Driver, release: Release) -> None:
        """Fetch the slug of the current release, and have the driver build it."""
        with waited_for(LongWork(f"the slug of v{release.version}")):
            if self._fetch_slug is not None:
                self._fetch_slug(release)
            driver.build(release)

    def _require_optional_parts(self) -> None:
        """Raise PluginError for an option whose plugin is not installed."""
        if self.settings.control_socket:
            with self.options.naming("control_socket"):
                self.plugins.services.choose("control")
        if self.settings.logplex_url:
            with self.options.naming("logplex_url"):
                self.plugins.log_drains.choose("logplex")
        if self.settings.follows_drains:
            with self.options.naming("follow_drains"):
                self.plugins.log_drains.choose("https")


def print_warnings() -> None:
    """Print logged warnings like other messages, if logging was imported."""
    if "logging" in sys.modules:
        from hsup.cli.diagnostics import print_visibly

        print_visibly()


def sweep(driver: Driver) -> None:
    """Remove and print leftovers of a previous hsup; warn where a plugin is at fault."""
    if not isinstance(driver, Sweeps):
        return
    try:
        for leftover in driver.sweep():
            warn(f"removed a leftover of a previous hsup: {leftover}")
    except HsupError as error:
        if not error.is_mistake:
            raise
        _warn(str(error))


@contextmanager
def closing(driver: Driver) -> Iterator[None]:
    """Close a driver at the end, and warn if that fails."""
    try:
        yield
    finally:
        if isinstance(driver, Closes):
            try:
                driver.close()
            except HsupError as error:
                _warn(str(error))


def tell_faults(fetched: Fetched) -> None:
    """Print the warnings of a source, its failure, and the release that it rejected."""
    for warning in fetched.warnings:
        warn(f"warning: {warning}")
    if fetched.failure is not None:
        warn(f"warning: {fetched.failure}")
    if fetched.rejected is not None and fetched.release is not None:
        warn(f"warning: {fetched.rejected}; using {fetched.release} instead")


def _clash(first: str, others: Iterable[str]) -> str:
    names = ", ".join((first, *others))
    return f"several sources apply equally ({names}), using {first}; choose one with --source"


def _warn(text: str) -> None:
    warn(f"warning: {text}")


def _note(text: str, error: BaseException | None) -> None:
    warn(text)
    if error is not None and not isinstance(error, HsupError):
        warn_of(error)


def _ignore(text: str, error: BaseException | None) -> None:
    """Ignore a note."""
