"""Put an application together from the Procfile, .env and app.json of a directory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from hsup.errors import SourceError
from hsup.model import RELEASE_TYPE, Fault, ProcessType
from hsup_source_procfile import app_json, dotenv_file, procfile
from hsup_source_procfile.text_file import read_text

PROCFILE = "Procfile"
ENV = ".env"
APP_JSON = "app.json"

Faults = tuple[Fault, ...]
_Content = TypeVar("_Content")

#: A directory called .env is not a file of config vars, but a virtual environment.
_ABSENT = (FileNotFoundError, IsADirectoryError)


class Application(NamedTuple):
    """The content of the three files, with the faults of each."""

    name: str | None
    config: Mapping[str, str]
    processes: tuple[ProcessType, ...]
    faults: Mapping[str, Faults]

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


def read_application(directory: str) -> Application:
    """Read the three files; .env and app.json may be missing.

    Raises SourceError if a file cannot be read.
    """
    processes, procfile_faults = read_procfile(os.path.join(directory, PROCFILE))
    no_config: dict[str, str] = {}
    config, env_faults = _read(os.path.join(directory, ENV), dotenv_file.parse, no_config, _ABSENT)
    app, app_faults = _read(
        os.path.join(directory, APP_JSON), app_json.parse, app_json.AppJson(), _ABSENT
    )
    unused = app_json.unused_quantities(app, [process.name for process in processes])
    return Application(
        name=app.name,
        config=config,
        processes=tuple(_scaled(process, app) for process in processes),
        faults={
            PROCFILE: procfile_faults,
            ENV: env_faults,
            APP_JSON: (*app_faults, *unused),
        },
    )


def read_procfile(path: str) -> tuple[tuple[ProcessType, ...], Faults]:
    """Read one Procfile, whatever its name. Raises SourceError if it cannot be read."""
    return _read(path, procfile.parse, ())


def _read(
    path: str,
    parse: Callable[[str], tuple[_Content, Faults]],
    nothing: _Content,
    absent: tuple[type[OSError], ...] = (),
) -> tuple[_Content, Faults]:
    """Parse a file, and return its content and faults; `nothing` after an error of `absent`."""
    try:
        text = read_text(path)
    except absent:
        return nothing, ()
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from error
    return (nothing, (text,)) if isinstance(text, Fault) else parse(text)


def _scaled(process: ProcessType, app: app_json.AppJson) -> ProcessType:
    process = process._replace(size=app.sizes.get(process.name))
    if process.name == RELEASE_TYPE:
        return process
    return process._replace(quantity=app.quantities.get(process.name, process.quantity))
