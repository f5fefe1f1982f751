"""Put an application together from the Procfile, .env and app.json of a directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from hsup.api import Settings
from hsup.errors import SourceError
from hsup.model import RELEASE_TYPE, Fault, ProcessType, Release, Slug
from hsup.numerals import PORT_PROBLEM, port_number
from hsup_source_procfile import app_json, procfile
from hsup_source_procfile.text_file import read_text

PROCFILE = "Procfile"
ENV = ".env"
APP_JSON = "app.json"
_PORT = "PORT"

Faults = tuple[Fault, ...]
_Content = TypeVar("_Content")

#: A directory called .env is not a file of config vars, but a virtual environment.
_ABSENT = (FileNotFoundError, IsADirectoryError)


class RequiredFileError(SourceError):
    """A file that has to be there, the Procfile or one that the user named, cannot be read."""


class Files(NamedTuple):
    """The paths of an application's files.

    `env` are those of the user, in the order in which they take precedence; without any, the
    .env in the directory is read if it is there. `environ` are the variables by which
    references in them are replaced, None if they are to stay. With `has_port`, their PORT
    does not count.
    """

    directory: str
    procfile: str
    env: tuple[str, ...] = ()
    environ: Mapping[str, str] | None = None
    has_port: bool = False

    @classmethod
    def of(cls, settings: Settings) -> Files:
        """Return the files that the settings ask for."""
        return cls(
            directory=settings.directory,
            procfile=settings.procfile or os.path.join(settings.directory, PROCFILE),
            env=settings.env_files,
            environ=settings.environ if settings.expands_env else None,
            has_port=settings.has_port,
        )

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all files that count, whether or not they are there."""
        env = self.env or (os.path.join(self.directory, ENV),)
        return (self.procfile, *env, os.path.join(self.directory, APP_JSON))

    def name(self, path: str) -> str:
        """Return what a message calls a file: its path from the directory, if it is below."""
        relative = os.path.relpath(path, self.directory)
        return path if relative.startswith("../") else relative


class Application(NamedTuple):
    """The content of the three files, with the faults of each.

    `lines` has the file and the line of each config var.
    """

    name: str | None
    config: Mapping[str, str]
    processes: tuple[ProcessType, ...]
    faults: Mapping[str, Faults]
    lines: Mapping[str, tuple[str, int]] = MappingProxyType({})

    def release(self, app: str, *, version: int = 1, slug: Slug | None = None) -> Release:
        """Return the release that the files describe."""
        return Release(
            app=app, version=version, config=self.config, processes=self.processes, slug=slug
        )

    @property
    def faulty_file(self) -> str | None:
        """Return the first file with a fault that is not a warning, or None."""
        for file, faults in self.faults.items():
            if not all(fault.is_warning for fault in faults):
                return file
        return None

    def faults_seen_from(self, file: str) -> Faults:
        """Return all faults; a fault in another file than this one names that."""
        return tuple(
            fault if name == file else fault._replace(file=name)
            for name, faults in self.faults.items()
            for fault in faults
        )


def read_application(files: Files) -> Application:
    """Read the files; .env and app.json may be missing.

    Raises SourceError if a file cannot be read, RequiredFileError if it has to be there.
    """
    processes, procfile_faults = read_procfile(files.procfile)
    config, lines, env_faults = _read_config(files)
    app, app_faults = _read(
        os.path.join(files.directory, APP_JSON), app_json.parse, app_json.AppJson(), _ABSENT
    )
    unused = app_json.unused_quantities(app, [process.name for process in processes])
    return Application(
        name=app.name,
        config=config,
        processes=tuple(_scaled(process, app) for process in processes),
        faults={
            files.name(files.procfile): procfile_faults,
            **env_faults,
            APP_JSON: (*app_faults, *unused),
        },
        lines=lines,
    )


def _read_config(
    files: Files,
) -> tuple[dict[str, str], dict[str, tuple[str, int]], dict[str, Faults]]:
    """Return the config vars of the env files, their lines, and the faults of each by its name."""
    config: dict[str, str] = {}
    lines: dict[str, tuple[str, int]] = {}  # those that take precedence
    faults: dict[str, Faults] = {}
    nothing: dict[str, str] = {}
    for path in files.env or (os.path.join(files.directory, ENV),):
        numbers: dict[str, int] = {}
        parse = partial(_parse_env, files, config, numbers)
        more, its_faults = _read(path, parse, nothing, () if files.env else _ABSENT)
        config = {**config, **more}
        faults[files.name(path)] = its_faults
        lines.update({name: (files.name(path), number) for name, number in numbers.items()})
    if not files.has_port and config.get(_PORT) and port_number(config[_PORT]) is None:
        file, number = lines[_PORT]
        fault = Fault(place=f"line {number}", problem=f'"{_PORT}" {PORT_PROBLEM}')
        faults[file] = (*faults[file], fault)
    return config, lines, faults


def _parse_env(
    files: Files, config: Mapping[str, str], numbers: dict[str, int], text: str
) -> tuple[dict[str, str], Faults]:
    from hsup_source_procfile import dotenv_file  # not every application has such a file

    environ = None if files.environ is None else {**files.environ, **config}
    return dotenv_file.parse(text, environ, numbers)


def read_procfile(path: str) -> tuple[tuple[ProcessType, ...], Faults]:
    """Read one Procfile, whatever its name. Raises SourceError if it cannot be read."""
    return _read(path, procfile.parse, ())


def _read(
    path: str,
    parse: Callable[[str], tuple[_Content, Faults]],
    nothing: _Content,
    absent: tuple[type[OSError], ...] = (),
) -> tuple[_Content, Faults]:
    """Parse a file, and return its content and faults; `nothing` after an error of `absent`.

    Without these, the file has to be there.
    """
    try:
        text = read_text(path)
    except absent:
        return nothing, ()
    except OSError as error:
        failure = SourceError if absent else RequiredFileError
        raise failure(f"cannot read {path}: {error.strerror}", path=path) from error
    return (nothing, (text,)) if isinstance(text, Fault) else parse(text)


def _scaled(process: ProcessType, app: app_json.AppJson) -> ProcessType:
    process = process._replace(size=app.sizes.get(process.name))
    if process.name == RELEASE_TYPE:
        return process
    return process._replace(quantity=app.quantities.get(process.name, process.quantity))
