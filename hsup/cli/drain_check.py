"""Tell what `hsup start` would say of log drains; nothing is connected to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

from hsup.api import Finding
from hsup.cli.components import Components
from hsup.drains.destinations import LOGPLEX, Wanted, require_safe, wanted, wanted_by
from hsup.errors import HsupError
from hsup.log_drain import Destination
from hsup.model import Release


def problems(parts: Components, release: Release | None) -> Sequence[str]:
    """Return why drains of a release would not be used.

    Raises UsageError for one that the user named and that makes no sense, and PluginError if its
    plugin is not installed.
    """
    return asyncio.run(_problems(parts, release))


async def _problems(parts: Components, release: Release | None) -> Sequence[str]:
    own = parts.own_drains()
    for one in own:
        await _try(parts, one)
    if release is None:
        return ()
    problems: list[str] = []
    for one in wanted_by(release, parts.settings, problems.append):
        try:
            require_safe(one)
            if one not in own:
                await _try(parts, one)
        except HsupError as error:
            problems.append(f"the release's {error}")
    return tuple(dict.fromkeys(problems))


async def _try(parts: Components, one: Wanted) -> None:
    """Create a drain, and close it. Raises HsupError."""
    drain = parts.drain(one.kind, Destination(one.url, one.token, parts.settings))
    await drain.close()


def findings(parts: Components) -> Sequence[Finding]:
    """Return of each drain that the user named whether it can be created."""
    return asyncio.run(_findings(parts))


async def _findings(parts: Components) -> Sequence[Finding]:
    return [await _finding(parts, url, kind) for url, kind in _named(parts)]


def _named(parts: Components) -> Iterator[tuple[str, str | None]]:
    for url in parts.options.drains:
        yield url, None
    if parts.settings.logplex_url is not None:
        yield parts.settings.logplex_url, LOGPLEX


async def _finding(parts: Components, text: str, kind: str | None) -> Finding:
    one: Wanted | None = None
    try:
        with parts.options.naming("drains") if kind is None else nullcontext():
            one = wanted(text, kind=kind)
            await _try(parts, one)
    except HsupError as error:
        subject = "drain" if one is None else str(one.url)
        remedy = error.hint or "name another drain"
        text = str(error.args[0]).removeprefix(f"drain {subject}: ")
        return Finding(subject, is_good=False, text=text, remedy=remedy)
    return Finding(str(one.url), is_good=True, text=f'a drain of kind "{one.kind}"')
