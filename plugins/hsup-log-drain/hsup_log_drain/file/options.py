"""What a URL of scheme `file` says: which files, in which format, and when they are rotated."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from hsup.errors import UsageError
from hsup.formats.formatters import FORMATS
from hsup.log_drain import DrainURL
from hsup.numerals import amount, whole_number

#: Stands for a dyno's name in the name of a file.
DYNO = "{dyno}"

_PARAMETERS = ("age", "compress", "format", "keep", "mode", "per", "size")
_SIZES = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AGES = {"m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
_DEFAULT_KEEP = 7
_MOST_KEPT = 10_000
_MODE = re.compile(r"0?[0-7]{3}\Z")
_HOSTS_HERE = frozenset({"", "localhost"})


class Rotation(NamedTuple):
    """When a file is rotated, and what is kept of it.

    It is rotated before it has more than `size` bytes, and once its first line is
    `age_seconds` old. `keep` rotated files are kept, with gzip if `packs`.
    """

    size: int | None
    age_seconds: int | None
    keep: int = _DEFAULT_KEEP
    packs: bool = True


class FileOptions(NamedTuple):
    """What a drain writes, and where.

    `path` is absolute; `per_dyno` says that the name of the file has DYNO in it. `form` is the
    name of a format. Without `mode`, new files get 0640, less what the umask takes away.
    """

    path: str
    form: str = "heroku"
    per_dyno: bool = False
    mode: int | None = None
    rotation: Rotation | None = None


def read_options(url: DrainURL, directory: str) -> FileOptions:
    """Return what a URL says; a relative path is one in `directory`. Raises UsageError."""
    given, rest = url.take(*_PARAMETERS)
    rest.require_nothing_else(*_PARAMETERS)
    if url.host not in _HOSTS_HERE or url.port is not None:
        text = f'a drain of scheme "file" has no host, got "{url.authority}"'
        raise UsageError(text, hint=f"write file:///{url.host}{url.path} with three slashes")
    per_dyno = _choice(given, "per", ("all", "dyno")) == "dyno"
    path = _path(url.path, directory)
    if per_dyno and DYNO not in path:
        path = os.path.join(path, f"{DYNO}.log")
    options = FileOptions(
        path=path,
        form=_choice(given, "format", FORMATS),
        per_dyno=DYNO in path,
        mode=_mode(given.get("mode")),
        rotation=_rotation(given),
    )
    _require_usable(options)
    return options


def _path(text: str, directory: str) -> str:
    path = os.fsdecode(unquote_to_bytes(text))
    if not path or "\0" in path:
        raise UsageError('a drain of scheme "file" needs a path', hint="write file:app.log")
    # normpath would remove the slash that tells a directory.
    return os.path.join(directory, path)


def _choice(given: dict[str, str], name: str, values: tuple[str, ...]) -> str:
    value = given.get(name, values[0])
    if value not in values:
        hint = f"use {', '.join(values)}"
        raise UsageError(f'parameter "{name}" of a file: "{value}" is unknown', hint=hint)
    return value


def _mode(text: str | None) -> int | None:
    if text is not None and not _MODE.match(text):
        raise UsageError(
            f'parameter "mode" of a file: "{text}" is not a mode', hint="use mode=0640"
        )
    return None if text is None else int(text, 8)


def _rotation(given: dict[str, str]) -> Rotation | None:
    packs = _choice(given, "compress", ("gzip", "none")) == "gzip"
    size = _amount(given, "size", _SIZES, "10M")
    age = _amount(given, "age", _AGES, "1d")
    keep = whole_number(given.get("keep", str(_DEFAULT_KEEP)))
    if not keep or keep > _MOST_KEPT:
        hint = f"use a number from 1 to {_MOST_KEPT}"
        raise UsageError(f'parameter "keep" of a file: "{given["keep"]}" is invalid', hint=hint)
    if size is age is None:
        for name in ("keep", "compress"):
            if name in given:
                text = f'parameter "{name}" of a file has no effect without rotation'
                raise UsageError(text, hint="add size=10M, age=1d or both")
        return None
    return Rotation(size, age, keep, packs)


def _amount(given: dict[str, str], name: str, units: dict[str, int], example: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    number, unit = amount(text)
    if not number or unit not in units:
        hint = f"use a number and one of {', '.join(units)}, such as {example}"
        raise UsageError(f'parameter "{name}" of a file: "{text}" is invalid', hint=hint)
    return number * units[unit]


def _require_usable(options: FileOptions) -> None:
    directory, name = os.path.split(options.path)
    if DYNO in directory:
        text = f'a drain of scheme "file" has {DYNO} in the name of a directory, "{directory}"'
        raise UsageError(text, hint=f"use {DYNO} in the name of the file only")
    if options.per_dyno and not re.search(r"\A[^{}]*\{dyno\}[^{}]*[A-Za-z][^{}]*\Z", name):
        # Otherwise web.1 would be both the first dyno's file and a rotated one of web.
        text = f'a name of files must have letters after {DYNO}, got "{name}"'
        raise UsageError(text, hint=f"use a name such as {DYNO}.log")
    if not os.path.isdir(directory):
        text = f'the directory of a log file does not exist: "{directory}"'
        raise UsageError(text, hint=f"create it: mkdir -p {directory}")
    if not options.per_dyno:
        _require_file(options.path)
    if options.rotation and os.path.islink(options.path):
        text = f'log file "{options.path}" is a symbolic link, which cannot be rotated'
        raise UsageError(text, hint="name the file that it leads to")
    if not os.access(directory, os.W_OK | os.X_OK) and not os.access(options.path, os.W_OK):
        raise UsageError(f'cannot write log file "{options.path}": permission denied')


def _require_file(path: str) -> None:
    if path.endswith("/") or os.path.isdir(path):
        hint = "name a file in it, or add per=dyno for a file for each dyno"
        raise UsageError(f'log file "{path}" is a directory', hint=hint)
    try:
        mode = os.stat(path).st_mode
    except OSError:  # it is created; anything else is told when that fails
        return
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise UsageError(f'log file "{path}" is neither a regular file nor a FIFO')
