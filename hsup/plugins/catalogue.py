"""Name the packages that provide missing drivers, sources and sinks, for error messages."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING

from hsup.api import IgnoresSlugs
from hsup.errors import PluginError, UsageError
from hsup.plugins.installation import command_for, how_to_install

if TYPE_CHECKING:
    from hsup.api import Driver, Settings
    from hsup.model import Release

#: How a user chooses a source, the strongest claim first.
REMEDIES: Mapping[str, str] = {
    "heroku": "set HEROKU_ACCESS_TOKEN and --app for an application on Heroku",
    "directory": "set HSUP_CONTROL_DIR to a control directory",
    "procfile": "change to a directory with a Procfile",
}

#: The environment variable that asks for a source, even if its package is not installed.
_ASKING = {"heroku": "HEROKU_ACCESS_TOKEN", "directory": "HSUP_CONTROL_DIR"}

_PACKAGES = {
    ("driver", "simple"): "hsup-driver-simple",
    ("driver", "docker"): "hsup-driver-docker",
    ("driver", "libcontainer"): "hsup-driver-libcontainer",
    ("source", "heroku"): "hsup-source-heroku",
    ("source", "directory"): "hsup-source-directory",
    ("source", "procfile"): "hsup-source-procfile",
}

#: The kinds of log drains that hsup-log-drain has.
_LOG_DRAINS = frozenset(
    {
        "file",
        "http",
        "https",
        "journal",
        "logplex",
        "otlp+http",
        "otlp+https",
        "syslog",
        "syslog+tls",
        "syslog+udp",
    }
)

#: The options that packages are to serve which are not on PyPI yet.
_UNPUBLISHED = {
    ("service", "control"): ("--control-socket", "HSUP_CONTROL_SOCKET", "hsup-control"),
}
_NEEDS_PLUGIN = "needs a plugin that is not installed, and {} has not been published yet"


def source_asked_for(environ: Mapping[str, str], installed: Container[str]) -> str | None:
    """Return the source that an environment variable asks for, if it is not installed."""
    for name, variable in _ASKING.items():
        if environ.get(variable):
            return None if name in installed else name
    return None


def no_source(settings: Settings, remedies: Mapping[str, str]) -> UsageError:
    """Return the error for a directory without a Procfile, where nothing asks for a source.

    `remedies` say how to choose each source.
    """
    directory = settings.directory
    above = "" if settings.has_root else " or above it"
    near = other_procfiles(directory)
    remedy = "write one with hsup init, or name one with -f"
    if near:
        import shlex  # slow to import, rarely needed

        remedy = f"name another file: {' or '.join(f'-f {shlex.quote(name)}' for name in near)}"
    others = [text for name, text in remedies.items() if name != "procfile"]
    elsewhere = f"; for releases from elsewhere, {', or '.join(others)}" if others else ""
    text = f"there is no Procfile in {directory}{above}"
    return UsageError(text, hint=f"{remedy}{elsewhere}")


def other_procfiles(directory: str) -> list[str]:
    """Return the names of files such as `Procfile.dev` or `procfile`, in their order."""
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    similar = (name for name in names if name.partition(".")[0].lower() == "procfile")
    return sorted(name for name in similar if os.path.isfile(os.path.join(directory, name)))


def ignored_slug(name: str, driver: Driver, release: Release) -> str | None:
    """Return the warning for a slug that the driver does not run, None if it does."""
    slug = release.slug
    ignores = isinstance(driver, IgnoresSlugs) and driver.ignores_slugs
    if not ignores or slug is None or slug.inode is not None:
        return None
    drivers = "-d libcontainer or -d docker" if slug.image is None else "-d docker"
    return (
        f'driver "{name}" does not run the slug of {release}: commands run in the current '
        f"directory with the release's config vars; use {drivers} to run the slug"
    )


def missing(kind: str, name: str, installed: Iterable[str]) -> PluginError:
    """Return the error for something that no installed plugin provides."""
    if unpublished := _UNPUBLISHED.get((kind, name)):
        option, variable, unpublished_package = unpublished
        text = f"{option} {_NEEDS_PLUGIN.format(unpublished_package)}"
        return PluginError(text, hint=f"leave out the option, or unset {variable}")
    package = _PACKAGES.get((kind, name))
    if kind == "log drain" and name in _LOG_DRAINS:
        package = "hsup-log-drain"
    if package:
        return PluginError(f'no {kind} "{name}" is installed', hint=how_to_install(package))
    if kind == "driver" and (os.sep in name or name.startswith(".")):  # foreman's -d
        import shlex

        hint = f"the directory of the application is --root {shlex.quote(name)}"
        return PluginError(f'there is no {kind} "{name}"', hint=hint)
    listing = ", ".join(sorted(installed))
    choice = f"choose from {listing}, or " if listing else ""
    hint = f"{choice}install a plugin that provides it: {command_for('PACKAGE')}"
    return PluginError(f'there is no {kind} "{name}"', hint=hint)
