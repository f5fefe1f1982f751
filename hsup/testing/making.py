"""Make releases, specs of dynos and log lines; a test gives only the values that matter to it."""

from __future__ import annotations

from collections.abc import Mapping

from hsup.api import LogBatch, LogEvent
from hsup.model import Command, DynoName, DynoSpec, ProcessType, Release
from hsup.supervision.dyno_spec import dyno_spec


def make_release(
    *,
    version: int = 1,
    command: str = "serve",
    config: Mapping[str, str] | None = None,
    logplex_url: str | None = None,
    **quantities: int,
) -> Release:
    """Make a release: `make_release(web=2)` has a process type `web` with a quantity of two.

    The command of a process type is `command`, followed by the name of the type.
    """
    types = (
        ProcessType(name=name, command=Command((f"{command} {name}",)), quantity=quantity)
        for name, quantity in quantities.items()
    )
    return Release(
        app="shop",
        version=version,
        config=config or {},
        processes=tuple(types),
        logplex_url=logplex_url,
    )


def make_spec(
    name: str = "web.1",
    command: str = "serve",
    *,
    port: int | None = 5000,
    config: Mapping[str, str] | None = None,
    version: int = 1,
) -> DynoSpec:
    """Make the spec of a dyno: `make_spec("web.1")`."""
    process_type, _, number = name.partition(".")
    release = make_release(version=version, config=config)
    return dyno_spec(release, DynoName(process_type, int(number)), Command((command,)), port=port)


def make_batch(
    lines: bytes,
    *,
    source: str = "app",
    dyno: str = "web.1",
    stream: str = "stdout",
    time: int = 0,
    is_partial: bool = False,
    event: LogEvent | None = None,
) -> LogBatch:
    """Make a batch of log lines for a sink: `make_batch(b"…", dyno="web.1")`.

    Lines of another source than `app` are hsup's own, and so have an event.
    """
    if event is None and source != "app":
        event = LogEvent("notice")
    return LogBatch(time, source, dyno, stream, lines, is_partial=is_partial, event=event)
