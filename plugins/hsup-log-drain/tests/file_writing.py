"""Drains that write to files of a test."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from hsup.log_drain import DrainURL
from hsup_log_drain.file.drain import FileDrain, file_drain

from .blocks import destination

STAMP = "1970-01-01T00:00:00.000000+00:00"


def make_drain(path: Path | str, **parameters: str) -> FileDrain:
    url = DrainURL("file", path=os.fspath(path), parameters=tuple(parameters.items()))
    drain = file_drain(destination(url))
    assert isinstance(drain, FileDrain)
    return drain


def numbers(text: str) -> list[int]:
    """Return the numbers at the ends of lines, each of which has the prefix of web.1."""
    assert text.endswith("\n")
    prefix = re.escape(f"{STAMP} app[web.1]: ")
    found = [re.fullmatch(rf"{prefix}line ([0-9]+)", line) for line in text.splitlines()]
    assert all(found), text
    return [int(one[1]) for one in found if one]


def numbered(first: int, last: int) -> bytes:
    """Return lines with numbers, the last one included."""
    return b"".join(b"line %d\n" % number for number in range(first, last + 1))


def open_files() -> Iterator[tuple[int, str]]:
    """Yield the descriptors of this process, and what they lead to."""
    for name in os.listdir("/proc/self/fd"):
        try:
            yield int(name), os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # that of listdir
            pass
