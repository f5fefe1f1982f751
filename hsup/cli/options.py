"""The values of the options that commands share, and of those of `hsup start`."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hsup.api import Settings
from hsup.cli import options_file
from hsup.cli.config import read_settings, working_directory
from hsup.cli.defaults import (
    DEFAULT_DRIVER,
    DEFAULT_GRACE_SECONDS,
    DEFAULT_HISTORY_LINES,
    DEFAULT_LOG_FORMAT,
    LOOKS,
    SCREEN_FORMAT,
    SECONDS,
)
from hsup.errors import HsupError, SourceError, UsageError
from hsup.supervision.ports import Base

if TYPE_CHECKING:
    from hsup.model import Bind

_STDOUT = 1

#: Options that can be given several times.
_REPEATED = ("binds", "drains", "env_files", "formation", "pass_env")

#: What the parameters are called on the command line whose options have other names.
_OPTIONS = {"binds": "bind", "drains": "drain", "env_files": "env-file"}

#: What is named by options whose values are paths.
_KINDS = {"procfile": "file", "root": "directory"}


class Options:
    """The values of options, given before or after the command.

    `by_variable` names those that nobody gave, whose variable is set.
    """

    def __init__(self, given: Mapping[str, Any], by_variable: Collection[str] = ()) -> None:
        self._said = _said(given)
        self._by_variable = by_variable

    def refined(self, given: Mapping[str, Any], by_variable: Iterable[str] = ()) -> Options:
        """Return these options overridden by those after the command; what repeats adds up.

        `by_variable` names those of the command itself whose variable is set.
        """
        after = _said(given)
        added = {
            name: (*self._said[name], *after[name])
            for name in _REPEATED
            if name in after and name in self._said and name not in self._by_variable
        }
        before = {name for name in self._by_variable if name not in after}
        return Options({**self._said, **after, **added}, before.union(by_variable))

    def is_typed(self, name: str) -> bool:
        """Tell whether a parameter was given on the command line, before or after the command."""
        return name in self._said and name not in self._by_variable

    @cached_property
    def _given(self) -> Mapping[str, Any]:
        """The options that the user said, and those of the application's file beneath them.

        Raises UsageError for a faulty file.
        """
        if self._path is None:
            return self._said
        return {**{name: value for name, (_, value) in self._in_file.items()}, **self._said}

    @cached_property
    def _in_file(self) -> Mapping[str, tuple[str, Any]]:
        """The options of the application's file, by their parameters: their keys and values."""
        assert self._path is not None
        from hsup.cli.options_reader import read  # slow to import, rarely needed

        return read(self._path)

    @cached_property
    def _path(self) -> str | None:
        """The path of the application's file that has options."""
        root = self._said.get("root")
        directory = working_directory(root, self._called_by_user("root"))
        return options_file.find(directory, looks_above=root is None)

    def called(self, name: str) -> str:
        """Return how the value of a parameter was given, as its errors name it.

        As an option, `--grace`, by a variable, `HSUP_GRACE`, or in a file: `hsup.toml: "grace"`.
        """
        if name in self._said or name not in self._given:
            return self._called_by_user(name)
        return f'{self._path}: "{self._in_file[name][0]}"'

    def _called_by_user(self, name: str) -> str:
        option = _option(name)
        if name in self._by_variable:
            return f"HSUP_{option.replace('-', '_').upper()}"
        return f"--{option}"

    @contextmanager
    def naming(self, name: str) -> Iterator[None]:
        """Turn an error into one of usage that names the variable or the file it is about.

        Without a name, it is about an option that was typed.
        """
        try:
            yield
        except HsupError as error:
            self._name(name, error)
            raise

    @contextmanager
    def naming_files(self) -> Iterator[None]:
        """Do the same for a Procfile or an env file that cannot be read."""
        try:
            yield
        except SourceError as error:
            settings = self.settings()
            files = {"procfile": (settings.procfile,), "env_files": settings.env_files}
            for name, paths in files.items():
                if error.path is not None and error.path in paths:
                    self._name(name, error)
                    break
            raise

    def _name(self, name: str, error: HsupError) -> None:
        """Make an error one of usage, unless nobody gave the option: a default may be missing."""
        if name not in self._given:
            return
        error.exit_code = UsageError.exit_code
        called = self.called(name)
        if not called.startswith("--") and called not in str(error):
            error.put_before(called)

    @property
    def driver(self) -> str:
        """Return the name of the driver."""
        return self.chosen_driver or DEFAULT_DRIVER

    @property
    def chosen_driver(self) -> str | None:
        """Return the name of the driver that the user chose, None for the default."""
        return self._given.get("driver") or None

    @property
    def source(self) -> str | None:
        """Return the name of the source, None for the one with the strongest claim."""
        return self._given.get("source")

    @property
    def one_shot(self) -> bool:
        """Tell whether dynos are started only once."""
        return bool(self._given.get("oneshot"))

    @property
    def start_number(self) -> int | None:
        """Return the number of the first dyno of each type, None if it was not set."""
        return self._given.get("start_number")

    @property
    def drains(self) -> tuple[str, ...]:
        """Return the URLs of log drains, which may hold secrets."""
        return tuple(self._given.get("drains") or ())

    @property
    def history_lines(self) -> int:
        """Return how many of the last lines services can read."""
        given = self._given.get("log_history")
        return DEFAULT_HISTORY_LINES if given is None else int(given)

    @property
    def root(self) -> str | None:
        """Return the application's directory, None if the user named none."""
        return self._given.get("root")

    @property
    def formation(self) -> tuple[str, ...]:
        """Return the words of the formation, such as `web=2`."""
        given = self._given.get("formation") or ()
        parts = (part.strip() for value in given for part in value.split(","))
        return tuple(filter(None, parts))

    @property
    def port(self) -> Base | None:
        """Return the base of the dynos' ports, None for the release's."""
        return self._given.get("port")

    @property
    def grace_seconds(self) -> float:
        """Return the grace period. Raises UsageError."""
        given = self._given.get("grace")
        if given is not None and not 0 <= given < float("inf"):
            raise UsageError(f'{self.called("grace")} must be {SECONDS}, got "{given}"')
        return DEFAULT_GRACE_SECONDS if given is None else float(given)

    @property
    def log_format(self) -> str:
        """Return the format of log lines: on a terminal, one for reading."""
        default = SCREEN_FORMAT if os.isatty(_STDOUT) else DEFAULT_LOG_FORMAT
        return self.chosen_log_format or default

    @property
    def chosen_log_format(self) -> str | None:
        """Return the format of log lines that the user chose, None for the default."""
        return self._given.get("log_format") or None

    @property
    def quantities(self) -> str | None:
        """Return what is started, `one` of each type or as the `release` says, None by default."""
        return self._given.get("quantities")

    @property
    def stays(self) -> bool:
        """Tell whether to wait for another release when nothing is left to run."""
        return bool(self._given.get("stay"))

    @property
    def aborts_on_exit(self) -> bool:
        """Tell whether all dynos are stopped when one ends."""
        return bool(self._given.get("abort_on_exit")) or self.exit_code_from is not None

    @property
    def exit_code_from(self) -> str | None:
        """Return the process type whose exit status is hsup's, None for any. Raises UsageError."""
        return self._single("exit_code_from")

    @property
    def reader(self) -> str | None:
        """Return the dyno, or the type, that reads hsup's own input, None for none.

        Raises UsageError.
        """
        return self._single("stdin")

    @property
    def has_terminals(self) -> bool:
        """Tell whether dynos write to terminals."""
        return bool(self._given.get("tty"))

    @property
    def runtime_metrics(self) -> bool | None:
        """Tell whether the load and the memory of dynos are logged, None as the release says."""
        return self._given.get("runtime_metrics")

    @property
    def only(self) -> tuple[str, ...]:
        """Return the process types and dynos whose lines are printed, nothing for all."""
        given = self._given.get("only") or ()
        return tuple(filter(None, map(str.strip, ",".join(given).split(","))))

    @property
    def look(self) -> dict[str, bool]:
        """Return how lines are printed in the format for the screen, as far as the user says."""
        return {one: self._given[name] for one, name in LOOKS.items() if name in self._given}

    @property
    def is_verbose(self) -> bool:
        """Tell whether to log what hsup does."""
        return bool(self._given.get("verbose"))

    @property
    def size(self) -> str | None:
        """Return the size of dynos without a size of their own, None for the driver's default."""
        return self._given.get("size") or None

    @property
    def has_metadata(self) -> bool:
        """Tell whether dynos get the platform's variables."""
        return bool(self._given.get("dyno_metadata"))

    @property
    def binds(self) -> tuple[Bind, ...]:
        """Return the paths of this machine that dynos see. Raises UsageError."""
        given = self._given.get("binds")
        if not given:
            return ()
        from hsup.cli.binds import parse_bind  # rarely needed

        with self.naming("binds"):
            return tuple(map(parse_bind, given))

    def settings(self) -> Settings:
        """Return the settings that plugins get. Raises UsageError."""
        return read_settings(
            root=self._path_of("root"),
            root_called=self.called("root"),
            procfile=self._path_of("procfile"),
            env_files=self._env_files(),
            expands_env=bool(self._given.get("expand_env")),
            has_port=isinstance(self.port, int),
            app=self._given.get("app"),
            control_socket=self._given.get("control_socket"),
            logplex_url=self._given.get("logplex_url"),
            follows_drains=bool(self._given.get("follow_drains")),
        )

    @property
    def has_clean_environment(self) -> bool:
        """Tell whether dynos get nothing of the caller's environment."""
        return bool(self._given.get("clean_env"))

    @property
    def passed_names(self) -> tuple[str, ...]:
        """Return the names, or patterns of them, of variables that dynos get."""
        given = self._given.get("pass_env") or ()
        return tuple(name for value in given for name in value.split(",") if name)

    def _single(self, name: str) -> str | None:
        """Return the value of an option, None without any. Raises UsageError for different ones."""
        different = tuple(dict.fromkeys(self._given.get(name) or ()))
        if len(different) > 1:
            given = ", ".join(f'"{one}"' for one in different)
            raise UsageError(f"{self.called(name)} can be given only once, got {given}")
        return different[0] if different else None

    def _path_of(self, name: str) -> str | None:
        """Return the path of a file or a directory, None if the user named none."""
        path: str | None = self._given.get(name)
        if path == "":  # of a variable that is not set: "$PROCFILE"
            raise UsageError(f'{self.called(name)} must name a {_KINDS[name]}, got ""')
        return path

    def _env_files(self) -> tuple[str, ...]:
        """Return the paths of env files; a value may have several, with commas between them."""
        given = self._given.get("env_files") or ()
        values = [one.split(",") if isinstance(one, str) else one for one in given]
        if not all(map(any, values)):
            text = next(",".join(paths) for paths in values if not any(paths))
            raise UsageError(f'{self.called("env_files")} must name a file, got "{text}"')
        return tuple(path for paths in values for path in paths if path)


def _option(name: str) -> str:
    """Return the long name of an option by the name of its parameter: `start-number`."""
    return _OPTIONS.get(name, name.replace("_", "-"))


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value not in (None, ())}
