"""The events of a supervisor, as values for observers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from hsup.errors import HsupError
from hsup.lifecycle import State
from hsup.model import Address, DynoName, ExitStatus, Release


class Scale(NamedTuple):
    """How many dynos of a process type there are to be, and their size, None if none is known."""

    quantity: int
    size: str | None = None


class ReleaseReceived(NamedTuple):
    """A source gave a release that the supervisor is about to run.

    `ports` has the names of the dynos that it will have, and the port of each, None if the release
    sets that itself; `formation` has the scale of all its process types. `previous` is what was
    received before, without what was before that, None for the first release of a start.
    """

    release: Release
    ports: Mapping[str, int | None] = MappingProxyType({})
    formation: Mapping[str, Scale] = MappingProxyType({})
    previous: ReleaseReceived | None = None


class ReleaseRejected(NamedTuple):
    """A release will not run; `running` is the version that keeps running, if any.

    `starting` is the one that is started instead, if none runs yet.
    """

    error: HsupError
    running: int | None
    starting: int | None = None


class SourceFailed(NamedTuple):
    """A source could not be read; `running` is the version that keeps running, if any.

    `starting` is the one that is started all the same, if none runs yet.
    """

    error: HsupError
    running: int | None
    starting: int | None = None


class DynoStateChanged(NamedTuple):
    """A dyno changed its state; `reason` says why a start failed.

    `code` is then the platform's code, unless the command is at fault. A dyno that is up has an
    `address`, and a `pid` if it is a process of this machine. One that has ended has the `status`
    of its end, and if it will be started again, the delay until then: `restart_seconds`.
    """

    dyno: DynoName
    before: State
    after: State
    reason: str = ""
    pid: int | None = None
    address: Address | None = None
    status: ExitStatus | None = None
    restart_seconds: float | None = None
    code: str | None = None


class DynoExited(NamedTuple):
    """A dyno's main process ended, and all its output has been relayed."""

    dyno: DynoName
    status: ExitStatus


class SupervisorStarted(NamedTuple):
    """A supervisor is about to ask its source for the first time."""

    source: str
    driver: str


class SupervisorStopping(NamedTuple):
    """A supervisor is about to stop all its dynos and end."""

    reason: str


#: Events that concern no single dyno.
Supervision = (
    ReleaseReceived | ReleaseRejected | SourceFailed | SupervisorStarted | SupervisorStopping
)
#: Any event.
Event = Supervision | DynoStateChanged | DynoExited

#: The hook that is called with an event, by its type.
HOOKS: Mapping[type[Event], str] = MappingProxyType(
    {
        ReleaseReceived: "hsup_release_received",
        ReleaseRejected: "hsup_release_rejected",
        SourceFailed: "hsup_source_failed",
        DynoStateChanged: "hsup_dyno_state_changed",
        DynoExited: "hsup_dyno_exited",
        SupervisorStarted: "hsup_supervisor_started",
        SupervisorStopping: "hsup_supervisor_stopping",
    }
)
