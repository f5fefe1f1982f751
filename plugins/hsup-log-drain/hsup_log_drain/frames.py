r"""Encode lines as frames whose octets are counted: `LEN SP HEAD MSG LF`.

LEN is how many bytes follow its blank: those of the head, of the message and of the newline
(RFC 6587, 3.4.1). What stands in the head is the caller's choice: `head` is called once for
each batch, and returns everything from `<PRI>1` up to and including the blank before the message.

Messages are the bytes that a dyno wrote: `\r`, NUL and invalid UTF-8 are not changed, and an empty
line is a frame with an empty message. What a frame cannot carry as it is:

- a message of more than MAX_BYTES is cut into several frames, see `Cut`;
- a line that has no newline gets one;
- a field of the head has printable ASCII only, a length, and cannot be empty: see `field`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from hsup.api import LogBatch
from hsup_log_drain.lines import split_lines
from hsup_log_drain.utf8 import cut_before

#: A longer message is cut, as the platform cuts it.
MAX_BYTES = 10_000

_NANOSECONDS = 1_000_000_000

#: The priorities (facility * 8 + severity) that the platform's lines have.
_OF_APP = 190  # local7.info
_OF_PLATFORM = 45  # syslog.notice
_OF_LOSSES = 172  # local5.warning

#: What the platform calls losses: https://devcenter.heroku.com/articles/error-codes
LOSSES = frozenset({"L10", "L11", "L12", "L13"})

Head = Callable[[LogBatch], bytes]


class Cut(Enum):
    """How a line of more than MAX_BYTES is cut."""

    #: Into lines: each has a newline, and MAX_BYTES before it at the most. They are cut between
    #: characters.
    LINES = "lines"
    #: Into pieces of MAX_BYTES, the newline included, which only the last one has. What ends a
    #: partial batch has none.
    PIECES = "pieces"


class Frames(NamedTuple):
    """Frames, one after the other, and how many these are."""

    data: bytes
    frame_count: int


def encode(batches: Iterable[LogBatch], head: Head, cut: Cut = Cut.LINES) -> Frames:
    """Return the frames of batches, in order."""
    parts: list[bytes] = []
    count = 0
    for batch in batches:
        lines = split_lines(batch.lines)
        goes_on = cut is Cut.PIECES and batch.is_partial
        if not goes_on and (len(batch.lines) < MAX_BYTES or max(map(len, lines)) < MAX_BYTES):
            count += len(lines)
            parts += _counted(lines, head(batch))
        else:
            messages = tuple(_messages(batch, lines, cut))
            count += len(messages)
            parts += _framed(messages, head(batch))
    return Frames(b"".join(parts), count)


def line_sizes(lines: Iterable[bytes], head_bytes: int) -> Iterator[int]:
    """Yield how many bytes each line has in frames with a head of that length, with Cut.LINES."""
    for line in lines:
        pieces = (line,) if len(line) <= MAX_BYTES else _between_characters(line)
        size = 0
        for piece in pieces:
            length = head_bytes + len(piece)
            size += len(_numbers[length]) + length + len(b"\n")
        yield size


def priority(batch: LogBatch) -> int:
    """Return the priority that the platform gives to lines like those of a batch."""
    if is_loss(batch):
        return _OF_LOSSES
    return _OF_APP if batch.source == "app" else _OF_PLATFORM


def is_loss(batch: LogBatch) -> bool:
    """Tell whether a batch says how many lines were lost, and is no line that had to arrive."""
    return batch.event is not None and batch.event.code in LOSSES


def timestamp(nanoseconds: int) -> bytes:
    """Return a time of RFC 5424 with six digits: `2026-01-02T15:04:05.000000+00:00`."""
    second, fraction = divmod(nanoseconds, _NANOSECONDS)
    return b"%s.%06d+00:00" % (_second(second), fraction // 1000)


@lru_cache(maxsize=1024)
def field(text: str, length: int) -> bytes:
    """Return a text as a field of a head: RFC 5424 wants printable ASCII, without blanks.

    Any other character becomes `_`, what exceeds `length` is cut off, and an empty text is `-`.
    """
    fit = (one if "!" <= one <= "~" else "_" for one in text[:length])
    return "".join(fit).encode() or b"-"


@lru_cache(maxsize=64)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


class _Numbers(dict[int, bytes]):
    r"""The LEN and the blank of a frame, by how long it is without its newline.

    There is one for each length that has been seen: as many as a line may be long, and a head.
    """

    def __missing__(self, length: int) -> bytes:
        number = self[length] = b"%d " % (length + 1)
        return number


_numbers = _Numbers()
_NEWLINE = (b"\n",)


def _counted(lines: list[bytes], head: bytes) -> Iterator[bytes]:
    """Yield what frames of lines consist of, by C alone: no statement is executed per line."""
    frames = list(map(head.__add__, lines))
    numbers = map(_numbers.__getitem__, map(len, frames))
    return chain.from_iterable(zip(numbers, frames, _NEWLINE * len(frames), strict=True))


def _messages(batch: LogBatch, lines: list[bytes], cut: Cut) -> Iterator[bytes]:
    """Yield the messages of frames, with the newlines that they have."""
    if cut is Cut.LINES:
        for line in lines:
            for piece in _between_characters(line):
                yield piece + b"\n"
        return
    has_end = batch.lines.endswith(b"\n") or not batch.is_partial
    for number, line in enumerate(lines, 1):
        whole = line + b"\n" if has_end or number < len(lines) else line
        for start in range(0, len(whole), MAX_BYTES):
            yield whole[start : start + MAX_BYTES]


def _between_characters(line: bytes) -> Iterator[bytes]:
    """Yield pieces of a line of at most MAX_BYTES, cut between characters of UTF-8."""
    start = 0
    while len(line) - start > MAX_BYTES:
        end = cut_before(line, start + MAX_BYTES)
        yield line[start:end]
        start = end
    yield line[start:]


def _framed(messages: Iterable[bytes], head: bytes) -> Iterator[bytes]:
    for message in messages:
        yield b"%d %s%s" % (len(head) + len(message), head, message)
