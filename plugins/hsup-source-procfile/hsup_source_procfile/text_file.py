"""Read a small text file that was written by hand."""

from __future__ import annotations

import os
import stat

from hsup.model import Fault
from hsup.validation import utf8_text

MAX_BYTES = 1024 * 1024

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_text(path: str) -> str | Fault:
    r"""Return the text of a file, or its fault; see `decode` for the ends of its lines.

    Never waits. Raises OSError, which is IsADirectoryError for a directory.
    """
    # Before it is opened, as to open a device may have effects.
    obstacle = _obstacle(os.stat(path))
    if obstacle:
        return obstacle
    with open(path, "rb", opener=_open_at_once) as file:
        obstacle = _obstacle(os.fstat(file.fileno()))
        if obstacle:
            return obstacle
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        return Fault(place="", problem="must not be larger than 1 MiB")
    return decode(content)


def _obstacle(status: os.stat_result) -> Fault | None:
    file_type = _KINDS.get(stat.S_IFMT(status.st_mode))
    return Fault(place="", problem=f"must be a file, got {file_type}") if file_type else None


def _open_at_once(path: str, flags: int) -> int:
    """Open a file without waiting for a writer, as it may have become a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def decode(content: bytes) -> str | Fault:
    r"""Decode UTF-8 without its byte order mark.

    If all lines end with "\r\n", or with "\r", they end with "\n" in the text. Otherwise each
    "\r" stays: it may be part of a value in quotes.
    """
    text = utf8_text(content)
    if isinstance(text, str) and text.count("\n") == text.count("\r\n"):
        text = text.replace("\r\n", "\n")
        if "\n" not in text:
            text = text.replace("\r", "\n")
    return text
