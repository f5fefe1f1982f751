"""The packages that add to hsup what it has not got itself, for error messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hsup.errors import PluginError

#: What asks for a source, in the order of asking, and by which package it is served.
SOURCES: Mapping[str, tuple[str, str]] = {
    "heroku": ("HEROKU_ACCESS_TOKEN", "set HEROKU_ACCESS_TOKEN and --app for an app on Heroku"),
    "directory": ("HSUP_CONTROL_DIR", "set HSUP_CONTROL_DIR to a control directory"),
    "procfile": ("", "be in a folder with a Procfile"),
}

_PACKAGES = {
    ("driver", "simple"): "hsup-driver-simple",
    ("driver", "docker"): "hsup-driver-docker",
    ("driver", "libcontainer"): "hsup-driver-libcontainer",
    ("source", "heroku"): "hsup-source-heroku",
    ("source", "directory"): "hsup-source-directory",
    ("source", "procfile"): "hsup-source-procfile",
    ("log sink", "logplex"): "hsup-log-drain",
    ("service", "control"): "hsup-control",
}


def missing(kind: str, name: str, found: Iterable[str]) -> PluginError:
    """Return the error for something that no installed plugin has."""
    if package := _PACKAGES.get((kind, name)):
        return PluginError(f'no {kind} "{name}" is installed', hint=f"pip install {package}")
    listing = ", ".join(sorted(found)) or "none"
    hint = f"installed: {listing}; another one is a package away (see hsup plugins --help)"
    return PluginError(f'there is no {kind} "{name}"', hint=hint)
