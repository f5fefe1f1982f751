"""Choose the parts that a command works with: plugins, source and driver."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from hsup import catalogue
from hsup.api import (
    BindsPaths,
    Closes,
    Driver,
    Fetched,
    LogSink,
    Service,
    Settings,
    SizesDynos,
    Source,
    SourceFactory,
    Sweeps,
)
from hsup.cli.options import Options
from hsup.errors import DriverError, HsupError, SourceError, UsageError
from hsup.model import Release
from hsup.plugin_manager import PluginManager
from hsup.visible import warn

_Part = TypeVar("_Part")


class Parts:
    """The plugins, and what the options choose among what they register."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.settings: Settings = options.settings()
        self.plugins = PluginManager()
        self._sources = self.plugins.sources
        for fault in self.plugins.faults():
            warn(f"warning: {fault}")
        self._require_optional_parts()

    def source(self) -> tuple[str, Source]:
        """Return the source that was asked for, or else the first that applies."""
        name = self.source_name()
        return name, self.source_factory(name).create(self.settings)

    def source_factory(self, name: str) -> SourceFactory:
        """Return what makes a source."""
        return self.plugins.choose("source", name, self._sources)

    def source_name(self) -> str:
        """Return the name of the source to use.

        Raises UsageError where there is none, saying what each of them needs.
        """
        if self.options.source:
            return self.options.source
        if missing := catalogue.source_asked_for(self.settings.environ, self._sources):
            return missing
        for name in self.source_names():
            if self._sources[name].applies(self.settings):
                return name
        installed = {name: self._sources[name].remedy for name in self.source_names()}
        remedies = {**catalogue.REMEDIES, **installed}
        raise UsageError("there is no source of releases", hint=", or ".join(remedies.values()))

    def source_names(self) -> list[str]:
        """Return the names of all sources, in the order of asking."""
        return sorted(self._sources, key=lambda name: self._sources[name].rank)

    def driver(self) -> Driver:
        """Return the driver. Raises DriverError where it cannot do what was asked."""
        name = self.options.driver
        driver = self.plugins.choose("driver", name, self.plugins.drivers)(self.settings)
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
        return self._made("log sink", self.plugins.log_sinks)

    def services(self) -> list[Service]:
        """Return the services that the settings ask for."""
        return self._made("service", self.plugins.services)

    def _made(
        self, kind: str, factories: Mapping[str, Callable[[Settings], _Part | None]]
    ) -> list[_Part]:
        parts = []
        for name, create in factories.items():
            try:
                part = create(self.settings)
            except HsupError:
                raise
            except Exception as error:
                # A stranger's part must not keep the dynos from running.
                warn(f"warning: the {kind} {name} failed: {error!r}")
                continue
            if part is not None:
                parts.append(part)
        return parts

    def current_release(self) -> Release:
        """Return the newest good release, telling on standard error what is wrong with others.

        Raises SourceError where there is none yet.
        """
        _, source = self.source()
        print_warnings()
        fetched = source.fetch()
        tell_faults(fetched)
        if fetched.release is not None:
            return fetched.release
        raise fetched.rejected or SourceError("there is no release yet", hint=fetched.remedy)

    def _require_optional_parts(self) -> None:
        """Refuse an option that nothing installed would heed."""
        if self.settings.control_socket:
            self.plugins.choose("service", "control", self.plugins.services)
        if self.settings.logplex_url:
            self.plugins.choose("log sink", "logplex", self.plugins.log_sinks)


def print_warnings() -> None:
    """Have what is logged printed as all else is, if anything was imported that logs."""
    if "logging" in sys.modules:
        from hsup.diagnostics import print_visibly

        print_visibly()


def sweep(driver: Driver) -> None:
    """Remove what a dead hsup left, and say so."""
    if isinstance(driver, Sweeps):
        for leftover in driver.sweep():
            warn(f"removed what a dead hsup left: {leftover}")


@contextmanager
def closing(driver: Driver) -> Iterator[None]:
    """Have a driver release at the end what its dynos shared."""
    try:
        yield
    finally:
        if isinstance(driver, Closes):
            driver.close()


def tell_faults(fetched: Fetched) -> None:
    """Say what is wrong with what a source was given, if a release goes on all the same."""
    for warning in fetched.warnings:
        warn(f"warning: {warning}")
    if fetched.failure is not None:
        warn(f"warning: {fetched.failure}")
    if fetched.rejected is not None and fetched.release is not None:
        going_on = f"using {fetched.release} instead"
        warn(f"warning: {fetched.rejected}; {going_on}")
