"""Encode lines as entries of the journal (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hsup.api import LogBatch
from hsup_log_drain.severity import ERROR, INFO, WARN, severity

#: Of syslog (man 3 syslog).
_PRIORITIES = {INFO: 6, WARN: 4, ERROR: 3}
#: A value with one of these has its length before it; with a newline it must.
_NEWLINE, _NUL = b"\n", b"\0"
_LENGTH_BYTES = 8


def entries(batch: LogBatch) -> list[bytes]:
    """Return an entry for each line of a batch, the last part of a long line included."""
    fields = b"".join(_field(name, str(value)) for name, value in _fields(batch))
    lines = batch.lines.removesuffix(_NEWLINE).split(_NEWLINE)
    if _NUL in batch.lines:
        encoded = [fields + _encoded(b"MESSAGE", line) for line in lines]
    else:
        begin = fields + b"MESSAGE="
        encoded = [begin + line + _NEWLINE for line in lines]
    if batch.is_partial:  # only the last line goes on in the next batch
        encoded[-1] += b"HSUP_PARTIAL=1\n"
    return encoded


def _fields(batch: LogBatch) -> Iterator[tuple[bytes, object]]:
    """Yield all fields but the message."""
    event = batch.event
    yield b"PRIORITY", _PRIORITIES[severity(event)]
    yield b"SYSLOG_IDENTIFIER", f"{batch.app}/{batch.dyno}" if batch.app else batch.dyno
    yield b"SYSLOG_TIMESTAMP", _timestamp(batch.time)
    yield b"DYNO", batch.dyno
    yield b"HSUP_SOURCE", batch.source
    yield b"HSUP_STREAM", batch.stream
    if batch.app is not None:
        yield b"HSUP_APP", batch.app
    if batch.release is not None:
        yield b"HSUP_RELEASE", f"v{batch.release}"
    if event is not None:
        yield b"HSUP_EVENT", event.name
        named = ((b"HSUP_STATE", event.state), (b"HSUP_STATUS", event.status))
        for name, value in (*named, (b"HSUP_CODE", event.code)):
            if value is not None:
                yield name, value


def _field(name: bytes, text: str) -> bytes:
    return _encoded(name, text.encode(errors="replace"))


def _encoded(name: bytes, value: bytes) -> bytes:
    if _NEWLINE in value or _NUL in value:
        length = len(value).to_bytes(_LENGTH_BYTES, "little")
        return b"".join((name, _NEWLINE, length, value, _NEWLINE))
    return b"".join((name, b"=", value, _NEWLINE))


def _timestamp(nanoseconds: int) -> str:
    """Return when hsup read a line; the journal's own time is when it got it."""
    second, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{rest // 1000:06}+00:00"
