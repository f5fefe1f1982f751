"""Know what a user may type next: the names of drivers, sources, sizes and process types."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from contextlib import redirect_stderr

import click
from click.shell_completion import CompletionItem

from hsup.cli.installed import plugin_manager
from hsup.errors import HsupError


def _complete(names: Callable[[click.Context], Iterable[str]]) -> Callable[..., list[str]]:
    """Return the completion of an option that takes one of some names."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        del param
        try:
            with redirect_stderr(None):  # a warning would stand in the line that is typed
                return sorted(one for one in names(ctx) if one.startswith(incomplete))
        except (HsupError, OSError):  # nobody sees why
            return []

    return complete


def _drivers(ctx: click.Context) -> Iterable[str]:
    del ctx
    return plugin_manager().drivers


def _sources(ctx: click.Context) -> Iterable[str]:
    del ctx
    return plugin_manager().sources


def _drains(ctx: click.Context) -> Iterable[str]:
    """Return how the URLs of log drains begin."""
    del ctx
    from hsup.drains.destinations import LOGPLEX  # slow to import, rarely needed
    from hsup.log_drain import DrainURL

    kinds = [kind for kind in plugin_manager().log_drains if kind != LOGPLEX]
    return (f"{kind}:" if DrainURL(kind).is_of_this_machine else f"{kind}://" for kind in kinds)


def _sizes(ctx: click.Context) -> Iterable[str]:
    """Return the sizes of dynos, none with a driver that takes none."""
    from hsup.api import SizesDynos
    from hsup.cli.components import Components  # slow to import, rarely needed
    from hsup.sizes import SIZES

    parts = Components(ctx.obj.refined(ctx.params))
    return SIZES if isinstance(parts.named_driver(parts.options.driver), SizesDynos) else ()


def _types(ctx: click.Context) -> Iterable[str]:
    """Return the process types of what is in the current directory; no server is asked."""
    from hsup.cli.components import Components  # slow to import, rarely needed
    from hsup.model import RELEASE_TYPE

    parts = Components(ctx.obj.refined(ctx.params))
    checked = parts.source_factory(parts.source_name()).check(None, parts.settings)
    release = checked.release if checked else None
    return (one.name for one in release.processes if one.name != RELEASE_TYPE) if release else ()


def _with_commas(complete: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """Return the completion of the last one of values with commas between them."""

    def listed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        return [f"{before}{comma}{one}" for one in complete(ctx, param, last)]

    return listed


def types_and_sizes(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the sizes that may follow `web=2:`, else process types."""
    before, colon, size = incomplete.rpartition(":")
    if colon and "=" in before:
        return [f"{before}:{one}" for one in sizes(ctx, param, size)]
    return types(ctx, param, incomplete)


def env_files(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[str] | list[CompletionItem]:
    """Return the files and directories that may follow a comma; the shell knows the first ones."""
    del ctx, param
    before, comma, last = incomplete.rpartition(",")
    if not comma:
        return [CompletionItem(incomplete, type="file")]
    return [f"{before},{path}" for path in paths(last)]


def paths(start: str) -> list[str]:
    """Return the files and directories whose paths begin like this; directories end with /."""
    found = sorted(glob.glob(f"{glob.escape(start)}*"))
    return [f"{path}/" if os.path.isdir(path) else path for path in found]


drivers = _complete(_drivers)
sources = _complete(_sources)
drains = _complete(_drains)
sizes = _complete(_sizes)
types = _complete(_types)
several_types = _with_commas(types)
formation = _with_commas(types_and_sizes)


def has_containers(driver: str | None) -> bool:
    """Tell whether dynos of a driver can have paths bound and sizes; also if it cannot be asked."""
    if not driver:
        return False
    from hsup.api import BindsPaths, SizesDynos  # slow to import, and help is rarely wanted
    from hsup.cli.components import Components
    from hsup.cli.options import Options

    try:
        return isinstance(Components(Options({})).named_driver(driver), BindsPaths | SizesDynos)
    except HsupError:
        return True
