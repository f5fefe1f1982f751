"""The events of a supervisor, as values for observers.

`hook` is the name of the hook that is called with the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hsup.errors import HsupError
from hsup.lifecycle import State
from hsup.model import Address, DynoName, ExitStatus, Release


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReceived:
    """A source gave a release that the supervisor is about to run.

    `ports` has the names of the dynos that it will have, and the port of each, None if the release
    sets that itself.
    """

    hook: ClassVar = "hsup_release_received"
    release: Release
    ports: Mapping[str, int | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRejected:
    """A release will not run; `running` is the version that keeps running, if any."""

    hook: ClassVar = "hsup_release_rejected"
    error: HsupError
    running: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFailed:
    """A source could not be read; `running` is the version that keeps running, if any."""

    hook: ClassVar = "hsup_source_failed"
    error: HsupError
    running: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DynoStateChanged:
    """A dyno changed its state; `reason` says why a start failed.

    A dyno that is up has an `address`, and a `pid` if it is a process of this machine. One that
    has ended has the `status` of its end, and if it will be started again, the delay until then:
    `restart_seconds`.
    """

    hook: ClassVar = "hsup_dyno_state_changed"
    dyno: DynoName
    before: State
    after: State
    reason: str = ""
    pid: int | None = None
    address: Address | None = None
    status: ExitStatus | None = None
    restart_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DynoExited:
    """A dyno's main process ended, and all its output has been relayed."""

    hook: ClassVar = "hsup_dyno_exited"
    dyno: DynoName
    status: ExitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStarted:
    """A supervisor is about to ask its source for the first time."""

    hook: ClassVar = "hsup_supervisor_started"
    source: str
    driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorStopping:
    """A supervisor is about to stop all its dynos and end."""

    hook: ClassVar = "hsup_supervisor_stopping"
    reason: str


#: Events that concern no single dyno.
Supervision = (
    ReleaseReceived | ReleaseRejected | SourceFailed | SupervisorStarted | SupervisorStopping
)
#: Any event.
Event = Supervision | DynoStateChanged | DynoExited
