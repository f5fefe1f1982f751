"""The hooks of hsup: what a plugin may register, and what it may be told.

A plugin is a module named by an entry point of the group `hsup`; it marks its
functions with `@hsup.hookimpl`. Hooks are plain functions, never `async`. Keep
the module light: every command imports it, so import what is heavy inside the
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

PROJECT = "hsup"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def hsup_register_drivers() -> Mapping[str, DriverFactory]:
    """Return dyno drivers by the name that `--driver` takes.

    Called once, before the command runs. A factory gets the Settings and
    returns a `hsup.api.Driver`; it may raise an HsupError. A name that another
    distribution has too is an error for whoever asks for that name. Raising
    here is reported, and the plugin's other hooks still count.

        return {"frob": create}
    """
    return {}


@hookspec
def hsup_register_sources() -> Mapping[str, SourceFactory]:
    """Return sources of releases by the name that `--source` takes.

    Called once, before the command runs; each value is a
    `hsup.api.SourceFactory`, which says from the Settings how strongly it applies.

        return {"git": GitSourceFactory()}
    """
    return {}


@hookspec
def hsup_register_log_sinks() -> Mapping[str, LogSinkFactory]:
    """Return where log lines go besides the terminal, by name.

    Called once, by `hsup start`. A factory returns a `hsup.api.LogSink`, or
    None where the Settings ask for nothing of it. The name `logplex` is the
    one that serves `--logplex-url`.

        return {"logplex": create}
    """
    return {}


@hookspec
def hsup_register_services() -> Mapping[str, ServiceFactory]:
    """Return things that run beside the supervisor, by name.

    Called once, by `hsup start`. A factory returns a `hsup.api.Service`, or
    None where the Settings ask for nothing of it. The name `control` is the
    one that serves `--control-socket`.

        return {"control": create}
    """
    return {}


@hookspec
def hsup_register_commands() -> Sequence[click.Command]:
    """Return commands for the command line, in the order of their listing.

    Called when hsup is asked for its help or for a command that it has not got
    itself. A command cannot replace one of hsup's own. What `click.pass_obj` gives
    it is a `hsup.api.CommandContext`.

        return [releases]
    """
    return ()


@hookspec
def hsup_release_received(event: events.ReleaseReceived) -> None:
    """Be told that a release is about to run.

    Observers are called on the event loop: return at once. One that raises is
    logged with its plugin's name, and disturbs neither the others nor a dyno.

        metrics.release.set(event.release.version)
    """


@hookspec
def hsup_release_rejected(event: events.ReleaseRejected) -> None:
    """Be told that a release was faulty, or that its release phase failed.

    For example:

        pager.send(str(event.error))
    """


@hookspec
def hsup_source_failed(event: events.SourceFailed) -> None:
    """Be told that the source cannot be followed: it is away, or refuses its key.

    What runs goes on. For example:

        pager.send(str(event.error))
    """


@hookspec
def hsup_dyno_state_changed(event: events.DynoStateChanged) -> None:
    """Be told that a dyno went from one state to another.

    For example:

        metrics.dynos.labels(event.after.value).inc()
    """


@hookspec
def hsup_dyno_exited(event: events.DynoExited) -> None:
    """Be told how a dyno's main process ended, after its last line of output.

    For example:

        metrics.exits.labels(event.status.status).inc()
    """


@hookspec
def hsup_supervisor_started(event: events.SupervisorStarted) -> None:
    """Be told that the supervisor is about to ask its source for the first time.

    For example:

        log.info("running %s dynos", event.driver)
    """


@hookspec
def hsup_supervisor_stopping(event: events.SupervisorStopping) -> None:
    """Be told that all dynos are about to be stopped.

    For example:

        log.info("stopping: %s", event.reason)
    """
