"""Read frames strictly by their octet counts, which the newlines in them have no part in."""

from __future__ import annotations

import re

_LENGTH = re.compile(rb"([1-9][0-9]*) ")


class FramingError(ValueError):
    """Bytes are no frames."""


def split_frames(data: bytes) -> list[bytes]:
    """Return what each length in front counts. Raises FramingError for anything else."""
    frames, rest = take_frames(data)
    if rest:
        raise FramingError(f"the last frame is not whole: {rest[:80]!r}")
    return frames


def take_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Return the frames at the beginning, and the rest, in which there is no whole one."""
    frames = []
    start = 0
    while length := _LENGTH.match(data, start):
        end = length.end() + int(length[1])
        if end > len(data):
            break
        frames.append(data[length.end() : end])
        start = end
    rest = data[start:]
    if rest and not re.fullmatch(rb"[1-9][0-9]*( .*)?", rest, re.DOTALL):
        raise FramingError(f"there is no length in front of {rest[:80]!r}")
    return frames, rest
