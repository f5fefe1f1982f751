"""Decide which variables of hsup's caller a dyno gets, beneath those of its release."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from hsup.model import Release

#: hsup's own variables and keys, and what is meant for hsup alone.
_OWN_PREFIX = "HSUP_"
_OWN = frozenset(
    {
        "_HSUP_COMPLETE",
        # hsup's keys to Heroku, and those of Heroku's command line: npm's @heroku-cli/command
        # reads them, all but HEROKU_OAUTH_TOKEN, which tools around it use.
        *("HEROKU_ACCESS_TOKEN", "HEROKU_API_KEY", "HEROKU_API_URL", "HEROKU_API_TOKEN"),
        *("HEROKU_OAUTH_TOKEN", "HEROKU_HEADERS", "HEROKU_PARTICLEBOARD_HEADERS"),
        # What systemd tells the process of a unit (man 5 systemd.exec, "Environment Variables Set
        # or Propagated by the Service Manager"), but for what it tells of the user and the locale.
        *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "MAINPID", "INVOCATION_ID"),
        *("LISTEN_FDS", "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDNAMES", "FDSTORE"),
        *("MANAGERPID", "MANAGERPIDFDID", "SYSTEMD_EXEC_PID", "JOURNAL_STREAM", "LOG_NAMESPACE"),
        *("MEMORY_PRESSURE_WATCH", "MEMORY_PRESSURE_WRITE", "CREDENTIALS_DIRECTORY"),
        *("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CACHE_DIRECTORY", "LOGS_DIRECTORY"),
        "CONFIGURATION_DIRECTORY",
        # What the shell tells of itself (man 1 bash, "Shell Variables").
        *("PWD", "OLDPWD", "SHLVL", "_"),
    }
)


#: By these a caller asks programs for colours (force-color.org, bixense.com/clicolors).
_COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE")


class Passing(NamedTuple):
    """What is passed on of the environment of hsup's caller.

    `patterns` are names, in which `*` stands for any characters. If `in_place` is set, the
    driver runs commands in the directory that a release was read from, as a developer would:
    all variables are passed on then. With `relayed`, hsup passes their output on: wherever they
    run, Python should not buffer it, as it does for a pipe, and colours are as the caller wants
    them.
    """

    environ: Mapping[str, str] = MappingProxyType({})
    patterns: tuple[str, ...] = ()
    in_place: bool = False
    relayed: bool = False

    def variables(self, release: Release) -> dict[str, str]:
        """Return what the dynos of a release get, hsup's own variables never."""
        is_read_from = release.slug is not None and release.slug.inode is not None
        if self.in_place and is_read_from:
            theirs = {name: v for name, v in self.environ.items() if not _is_own(name)}
        else:
            theirs = self._chosen()
        return {**self._for_output(), **theirs} if self.relayed else theirs

    def warnings(self) -> Iterator[str]:
        """Yield what is wrong with names that can never pass a variable on."""
        for name in self.patterns:
            if _is_own(name):
                yield f"{name} is not passed on to dynos: it is meant for hsup alone"
            elif "=" in name or name.startswith("$") or name.split() != [name]:
                yield f'"{name}" is not the name of a variable, so nothing is passed on to dynos'

    def _for_output(self) -> dict[str, str]:
        """Return the variables that decide how what is relayed is written."""
        colours = {name: self.environ[name] for name in _COLOURS if name in self.environ}
        return {"PYTHONUNBUFFERED": "1", **colours}

    def _chosen(self) -> dict[str, str]:
        """Return the variables whose names match the patterns."""
        if not self.patterns:
            return {}
        from fnmatch import fnmatchcase  # slow to import, rarely needed

        return {
            name: value
            for name, value in self.environ.items()
            if not _is_own(name) and any(fnmatchcase(name, one) for one in self.patterns)
        }


def _is_own(name: str) -> bool:
    return name in _OWN or name.startswith(_OWN_PREFIX)
