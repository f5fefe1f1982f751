"""Know what a user may type next: the names of drivers, sources, sizes and process types."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click

from hsup.errors import HsupError


def _complete(names: Callable[[click.Context], Iterable[str]]) -> Callable[..., list[str]]:
    """Return the completion of an option that takes one of some names."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        try:
            return sorted(one for one in names(ctx) if one.startswith(incomplete))
        except (HsupError, OSError):  # nobody sees why
            return []

    return complete


def _drivers(ctx: click.Context) -> Iterable[str]:
    del ctx
    from hsup.cli.commands import plugin_manager  # whatever is imported here is rarely needed

    return plugin_manager().drivers


def _sources(ctx: click.Context) -> Iterable[str]:
    del ctx
    from hsup.cli.commands import plugin_manager

    return plugin_manager().sources


def _sizes(ctx: click.Context) -> Iterable[str]:
    del ctx
    from hsup.sizes import SIZES

    return SIZES


def _types(ctx: click.Context) -> Iterable[str]:
    """Return the process types of what is in the current directory; no server is asked."""
    from hsup.cli.components import Components
    from hsup.cli.options import Options
    from hsup.model import RELEASE_TYPE

    outer = ctx.parent.params if ctx.parent else {}
    parts = Components(Options(outer).refined(ctx.params))
    name = parts.source_name()
    checked = None if name == "heroku" else parts.source_factory(name).check(None, parts.settings)
    release = checked.release if checked else None
    return (one.name for one in release.processes if one.name != RELEASE_TYPE) if release else ()


drivers = _complete(_drivers)
sources = _complete(_sources)
sizes = _complete(_sizes)
types = _complete(_types)
