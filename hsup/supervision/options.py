"""The options of a supervisor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from hsup.model import Bind, DynoName, Release
from hsup.supervision.formation import ScaleRequest
from hsup.supervision.passing import Passing
from hsup.supervision.policy import CrashPolicy, RetryPolicy
from hsup.supervision.ports import Base
from hsup.terminal import WindowSize

#: Told the first release, the ports of its dynos, and how to tell whether these may listen on one.
Announce = Callable[[Release, Mapping[str, int | None], Callable[[int], bool]], None]


class SupervisorOptions(NamedTuple):
    """The options of a supervisor.

    `one_shot` ends it when every dyno has ended once; `aborts_on_exit` ends it when one has, with
    that dyno's status, or with the one of the type `status_from`. `stays` keeps it running
    when nothing is left to run, or when not even a first release can run. If
    `follows_formation` is set, it also keeps running without dynos, since the
    formation may change. `has_metadata` gives dynos the platform's variables, and `passing`
    those of hsup's caller.
    `port` is the base of the dynos' ports, AUTO for a free one, None for the release's; with
    `shares_ports`, the dynos listen on the ports of this machine, which others may have.
    The dyno `reads_own_input` has hsup's own standard input, and starts while hsup `has_terminal`;
    with a `window`, dynos write to terminals, which have the size that it returns.
    `shown` are the types and dynos whose lines are printed, all if there are none.
    `called` has the variables by which options were given, by these: errors name them.
    `announce` is told of the first release before it is built, None if nobody reads that.
    `follow_drains` is told of each release before its dynos, or its release phase, run.
    """

    source_name: str
    driver_name: str
    asked: ScaleRequest
    binds: tuple[Bind, ...] = ()
    has_metadata: bool = False
    passing: Passing = Passing()
    port: Base | None = None
    shares_ports: bool = False
    reads_own_input: DynoName | None = None
    has_terminal: Callable[[], bool] = lambda: True
    window: Callable[[], WindowSize] | None = None
    one_shot: bool = False
    aborts_on_exit: bool = False
    status_from: str | None = None
    stays: bool = False
    follows_formation: bool = False
    shown: tuple[str, ...] = ()
    called: Mapping[str, str] = MappingProxyType({})
    follow_drains: Callable[[Release], None] = lambda _: None
    announce: Announce | None = None
    grace_seconds: float = 30.0
    policy: CrashPolicy = CrashPolicy()
    retry: RetryPolicy = RetryPolicy()
