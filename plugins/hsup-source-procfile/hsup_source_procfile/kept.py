"""Keep the release that runs, in hsup's own directory instead of the application's.

Its file is /var/lib/hsup/procfile/DIRECTORY.json, or $XDG_STATE_HOME/hsup/procfile/DIRECTORY.json
if hsup's user is not root. It contains the config vars of .env, and only that user may read it.
"""

from __future__ import annotations

import json
import logging
import os
import string
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hsup.directories import make_directories, state_directory
from hsup.durable import UNFINISHED, write_durably
from hsup.errors import SourceError
from hsup.model import Command, ProcessType, Release
from hsup.validation import release_faults

logger = logging.getLogger(__name__)

STATE_DIR = "HSUP_PROCFILE_DIR"
#: Below the limit of a file's name on most file systems (man 3 pathconf, NAME_MAX).
_LONGEST_NAME = 200
#: How a file's name begins, as the path of a directory is absolute.
_ROOT = "%2F"
_UNQUOTED = (string.ascii_letters + string.digits + "_.-~").encode()
#: How many directories have their releases kept; the one started longest ago is dropped first.
_MOST_KEPT = 100


def keep(release: Release, directory: str, environ: Mapping[str, str]) -> None:
    """Keep a release for the next hsup in a directory. Raises SourceError."""
    path = _path(directory, environ)
    try:
        make_directories(os.path.dirname(path))
        write_durably(path, json.dumps(_kept_fields(release)).encode("ascii"))
        _make_room(os.path.dirname(path))
    except OSError as error:
        text = f"cannot save the release for the next start in {path}: {error.strerror}"
        hint = f"free some space, or set {STATE_DIR} to a writable directory"
        raise SourceError(text, hint=hint) from error


def _make_room(state: str) -> None:
    with os.scandir(state) as entries:
        files = [
            one
            for one in entries
            if one.name.startswith(_ROOT) and one.name.endswith((".json", UNFINISHED))
        ]
    for old in sorted(files, key=_age)[:-_MOST_KEPT]:
        with suppress(FileNotFoundError):  # another hsup has removed it
            os.unlink(old)


def _age(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat(follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return 0.0


def kept(directory: str, environ: Mapping[str, str]) -> Release | None:
    """Return the release that ran last in a directory, None without one.

    Raises SourceError if its file cannot be read for now.
    """
    path = _path(directory, environ)
    try:
        with open(path, encoding="ascii") as file:
            return _release(json.load(file))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        text = f"cannot read the release saved in {path}: {error.strerror}"
        raise SourceError(text, hint=f"let hsup's user read it, or set {STATE_DIR}") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        _remove_damaged(path)
        return None


def _remove_damaged(path: str) -> None:
    try:
        os.unlink(path)
    except OSError as error:
        logger.warning("cannot remove %s, which is damaged: %s", path, error.strerror)
    else:
        logger.warning("removed %s, which is damaged", path)


def _kept_fields(release: Release) -> dict[str, Any]:
    """Return the fields of a release that come from files; its code is the directory itself."""
    fields = release._asdict()
    return {name: fields[name] for name in ("app", "version", "config", "processes")}


def _release(fields: dict[str, Any]) -> Release:
    """Make a release from its fields. Raises TypeError, ValueError and others for invalid ones."""
    processes = (
        ProcessType(name, Command(tuple(_texts(words))), _number(quantity), size)
        for name, (words,), quantity, size in fields["processes"]
    )
    app, version, config = fields["app"], _number(fields["version"]), fields["config"]
    _texts([app, *config.keys(), *config.values()])
    release = Release(app, version, config, tuple(processes))
    _texts([one.size for one in release.processes if one.size is not None])
    for fault in release_faults(release):
        raise ValueError(fault.place)
    return release


def _texts(value: list[Any]) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError
    return value


def _number(value: Any) -> int:
    if type(value) is not int:  # isinstance would accept True
        raise TypeError
    return value


def _quoted(path: str) -> str:
    """Quote a path as `urllib.parse.quote` does, which is slow to import."""
    quoted = (chr(byte) if byte in _UNQUOTED else f"%{byte:02X}" for byte in os.fsencode(path))
    return "".join(quoted)


def _path(directory: str, environ: Mapping[str, str]) -> str:
    name = _quoted(directory)
    if len(name) > _LONGEST_NAME:
        import hashlib

        name = _ROOT + hashlib.sha256(name.encode()).hexdigest()
    return os.path.join(
        environ.get(STATE_DIR) or state_directory("procfile", environ), f"{name}.json"
    )
