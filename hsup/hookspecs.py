"""The hooks of hsup: what a plugin may register, and which events it may observe.

A plugin is a module named by an entry point of the group `hsup`; it marks its
functions with `@hsup.hookimpl`. Hooks are plain functions, never `async`. Keep
the module light: every command imports it, so do slow imports inside the
factories.

    # in pyproject.toml
    [project.entry-points.hsup]
    driver-frob = "hsup_driver_frob.hooks"

    # hsup_driver_frob/hooks.py
    from hsup import hookimpl

    def create(settings):
        from hsup_driver_frob.driver import FrobDriver
        return FrobDriver(settings)

    @hookimpl
    def hsup_register_drivers():
        return {"frob": create}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import click

    from hsup import events
    from hsup.api import DriverFactory, LogSinkFactory, ServiceFactory, SourceFactory
    from hsup.log_drain import LogDrainFactory

PROJECT = "hsup"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def hsup_register_drivers() -> Mapping[str, DriverFactory]:
    """Called once, before the command runs, for drivers by the name that `--driver` takes.

    A factory gets the Settings and returns a `hsup.api.Driver`; it may raise an
    HsupError. If two distributions register the same name, choosing it is an
    error. An exception in this hook is reported, and the plugin's other hooks
    still count.

        return {"frob": create}
    """
    return {}


@hookspec
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Called once, before the command runs, for sources by the name that `--source` takes.

    Each value is a `hsup.api.SourceFactory`, which says how strongly the Settings
    ask for it.

        return {"git": GitSourceFactory()}
    """
    return {}


@hookspec
def hsup_register_log_sinks() -> Mapping[str, LogSinkFactory]:
    """Called once, before the command runs, for log sinks besides the terminal, by name.

    `hsup start` uses them. A factory returns a `hsup.api.LogSink`, or None if the
    Settings do not ask for one. The name `logplex` is for the sink that serves
    `--logplex-url`.

        return {"logplex": create}
    """
    return {}


@hookspec
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Called once, before the command runs, for kinds of log drains by the scheme of their URLs.

    A factory gets a `hsup.log_drain.Destination` for each URL of that scheme that the user, or
    a release, names, and returns a `hsup.log_drain.LogDrain`. It raises UsageError for a URL
    that makes no sense; it does not connect. The name `logplex` is for the kind that serves
    `--logplex-url`, whatever the scheme is.

        return {"carrier-pigeon": create}
    """
    return {}


@hookspec
def hsup_register_services() -> Mapping[str, ServiceFactory]:
    """Called once, before the command runs, for services that run alongside the supervisor.

    `hsup start` uses them. A factory returns a `hsup.api.Service`, or None if the
    Settings do not ask for one. The name `control` is for the service that serves
    `--control-socket`.

        return {"control": create}
    """
    return {}


@hookspec
def hsup_register_commands() -> Sequence[click.Command]:
    """Called for commands when hsup prints its help, or runs a command that is not its own.

    A command cannot replace one of hsup's own. `click.pass_obj` gives it a
    `hsup.api.CommandContext`.

        return [releases]
    """
    return ()


@hookspec
def hsup_release_received(event: events.ReleaseReceived) -> None:
    """Called when a release is about to run.

    Observers are called on the event loop: return at once. An exception is logged
    with the plugin's name, and affects neither other observers nor dynos.

        metrics.release.set(event.release.version)
    """


@hookspec
def hsup_release_rejected(event: events.ReleaseRejected) -> None:
    """Called when a release was faulty, or when its release phase failed.

    The current release, `event.running`, keeps running if there is one; if not, `event.starting`
    is started instead, if a source has kept one. For example:

        pager.send(str(event.error))
    """


@hookspec
def hsup_source_failed(event: events.SourceFailed) -> None:
    """Called when the source cannot be read: it is unreachable, or rejects hsup's key.

    `event.running` and `event.starting` mean the same as in `hsup_release_rejected`. For example:

        pager.send(str(event.error))
    """


@hookspec
def hsup_dyno_state_changed(event: events.DynoStateChanged) -> None:
    """Called when a dyno changed from one state to another.

    For example:

        metrics.dynos.labels(event.after.value).inc()
    """


@hookspec
def hsup_dyno_exited(event: events.DynoExited) -> None:
    """Called when a dyno's main process has ended, after its last line of output.

    For example:

        metrics.exits.labels(event.status.status).inc()
    """


@hookspec
def hsup_supervisor_started(event: events.SupervisorStarted) -> None:
    """Called when the supervisor is about to ask its source for the first time.

    For example:

        log.info("running %s dynos", event.driver)
    """


@hookspec
def hsup_supervisor_stopping(event: events.SupervisorStopping) -> None:
    """Called when all dynos are about to be stopped.

    For example:

        log.info("stopping: %s", event.reason)
    """
