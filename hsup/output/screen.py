"""Format log lines for a person who reads them on a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from signal import SIGTERM, Signals

from hsup.api import SUPERVISOR, LogBatch, LogEvent
from hsup.events import (
    DynoStateChanged,
    ReleaseReceived,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.lifecycle import State
from hsup.model import ExitStatus, Release
from hsup.output.escapes import kept_to_lines, whole_sequences
from hsup.output.paint import Paint, prefixed
from hsup.visible import visible

_ESCAPE, _RESET = b"\x1b", b"\x1b[0m"
#: A carriage return inside a line: what follows is written over it.
_RETURN = re.compile(rb"\r(?=[^\r\n])")
#: What was written over since, of a line that goes on.
_LAST_WRITTEN = re.compile(rb"\A[^\n]*\r(?=[^\r\n])")
#: What the name column says of lines of hsup's own.
_OWN_NAME = "hsup"
#: Events that others say in fewer words: see `_changed`.
_UNSAID = frozenset({"starting", "stopping", "exited"})
_NO_EVENT = LogEvent("notice")


class ScreenFormatter:
    """`12:28:33 web.1    | line`: local time, a name in a colour of its own, the line.

    A change has one line of hsup's own, and not one for each step. Whatever a line does to the
    terminal's colours ends with it, what is written over a line begins with its prefix, and what
    is for the whole screen is left out. Without a prefix, the lines of dynos are as these wrote
    them, but for their colours. If the terminal `echoes` keys, hsup's own lines are written over
    the ^C that stops it.
    """

    def __init__(
        self,
        *,
        coloured: bool,
        has_times: bool = True,
        has_prefix: bool = True,
        echoes: bool = False,
    ) -> None:
        self._paint = Paint() if coloured else None
        self._has_times = has_times
        self._has_prefix = has_prefix
        self._second, self._clock = -1, b""
        self._is_coloured = False  # where the last line has not ended
        self._returned: set[tuple[str, str]] = set()  # who writes over a line from its start
        self._begun: dict[tuple[str, str], bytes] = {}  # sequences whose end has not come
        self._width = len(_OWN_NAME)
        self._echoes = echoes
        self._over_keys = b""
        self._own_words = _OwnWords()

    @property
    def prefix_columns(self) -> int:
        """Return how many columns of the terminal the time and the name take."""
        if not self._has_prefix:
            return 0
        return self._width + len(" | ") + (len("12:28:33 ") if self._has_times else 0)

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch, b"" for nothing."""
        if batch.source == "hsup":
            lines = self._own_words(batch)
            if not lines:
                return b""
            self._width = max(self._width, *map(len, self._own_words.dynos or (_OWN_NAME,)))
            if self._echoes and isinstance((batch.event or _NO_EVENT).of, SupervisorStopping):
                self._over_keys = b"\r"
            prefix = self._over_keys + self._prefix(batch, _OWN_NAME)
            return self._contained(prefix, batch._replace(lines=lines), goes_on=goes_on)
        if self._has_prefix:
            batch = batch._replace(lines=self._kept_to_lines(batch))
            if batch.is_partial and not batch.lines:
                return b""
        if batch.is_partial and not goes_on:
            batch = batch._replace(lines=_LAST_WRITTEN.sub(b"", batch.lines, count=1))
        return self._contained(self._prefix(batch, batch.dyno), batch, goes_on=goes_on)

    def announce(
        self, source: str, driver: str, release: Release, ports: Mapping[str, int | None]
    ) -> bytes:
        """Return what is printed at the start: the application, where it is from, where it serves.

        `ports` has the names of the dynos that are to run, and the port of each.
        """
        lines = self._own_words.announce(source, driver, release, ports)
        self._width = max(self._width, *map(len, ports), len(_OWN_NAME))
        return self(LogBatch(time.time_ns(), "hsup", SUPERVISOR, "stdout", lines))

    def interrupted(self) -> bytes:
        """Return what ends the colours of a line that has not ended."""
        was_coloured, self._is_coloured = self._is_coloured, False
        return _RESET if was_coloured else b""

    def _kept_to_lines(self, batch: LogBatch) -> bytes:
        """Return the lines of a batch, and keep a sequence at its end that may go on."""
        origin, lines = (batch.dyno, batch.stream), batch.lines
        if begun := self._begun.pop(origin, b""):
            lines = begun + lines
        if batch.is_partial and (whole := whole_sequences(lines)) < len(lines):
            lines, self._begun[origin] = lines[:whole], lines[whole:]
        return kept_to_lines(lines)

    def _contained(self, prefix: bytes, batch: LogBatch, *, goes_on: bool) -> bytes:
        """Put a prefix before every line, which may neither write over it nor colour the next one.

        A carriage return at the end of a piece is printed with the next one: only that shows
        whether it belongs to the end of the line.
        """
        origin, lines = (batch.dyno, batch.stream), batch.lines
        if origin in self._returned:
            self._returned.discard(origin)
            lines = b"\r" + lines if goes_on else lines
        if batch.is_partial and lines.endswith(b"\r"):
            self._returned.add(origin)
            lines = lines.rstrip(b"\r")
        if b"\r" in lines:
            lines = _RETURN.sub(b"\r" + prefix, lines)
        was_coloured, self._is_coloured = self._is_coloured, False
        if _ESCAPE in lines or (was_coloured and goes_on):
            lines = lines.replace(b"\n", _RESET + b"\n")
            self._is_coloured = batch.is_partial and not lines.endswith(b"\n")
            if not (self._is_coloured or lines.endswith(b"\n")):
                lines += _RESET
        printed = prefixed(prefix, batch._replace(lines=lines), goes_on=goes_on)
        return _RESET + printed if was_coloured and not goes_on else printed

    def _prefix(self, batch: LogBatch, name: str) -> bytes:
        if not self._has_prefix:
            return b""
        self._width = max(self._width, len(name))
        prefix = name.ljust(self._width).encode() + b" |"
        if self._has_times:
            prefix = self._time(batch.time) + b" " + prefix
        if self._paint:
            prefix = self._paint(batch, prefix)
        return prefix + b" "

    def _time(self, nanoseconds: int) -> bytes:
        second = nanoseconds // 1_000_000_000
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%H:%M:%S", time.localtime(second)).encode()
        return self._clock


class _OwnWords:
    """Says a change in one line, and says first what runs here.

    `dynos` are the names of those that are to run.
    """

    def __init__(self) -> None:
        self.dynos: tuple[str, ...] = ()
        self._announced: int | None = None

    def __call__(self, batch: LogBatch) -> bytes:
        """Return the lines for a line of hsup's own, b"" if another one says it."""
        event = batch.event or _NO_EVENT
        if event.name in _UNSAID:
            return b""
        match event.of:
            case SupervisorStarted():
                return b""
            case ReleaseReceived() as received:
                return self._received(received)
            case DynoStateChanged() as changed:  # else the line says why it could not start
                return _lines(_changed(changed) if event.name == "state_changed" else None)
            case SupervisorStopping() as stopping:
                return _lines(f"stopping all dynos: {stopping.reason}")
        return batch.lines if batch.dyno == SUPERVISOR else f"{batch.dyno}: ".encode() + batch.lines

    def announce(
        self, source: str, driver: str, release: Release, ports: Mapping[str, int | None]
    ) -> bytes:
        """Return the lines that say what runs here."""
        self._announced = release.version
        names = ", ".join(ports) or "no dynos"
        return (
            _lines(f"{release.app}, release v{release.version}: {names}")
            + _lines(f"source {_source(source, release)}, driver {driver}")
            + _lines(f"{_serving(ports)}^C stops all")
        )

    def _received(self, event: ReleaseReceived) -> bytes:
        """Return the line for a release, unless it was the one that was announced."""
        self.dynos = tuple(event.ports)
        announced, self._announced = self._announced, None
        version = event.release.version
        return b"" if version == announced else _lines(f"release v{version}")


def _lines(text: str | None) -> bytes:
    return visible(text).encode() + b"\n" if text else b""


def _source(name: str, release: Release) -> str:
    slug = release.slug
    return f"{name} in {slug.location}" if slug is not None and slug.inode is not None else name


def _serving(ports: Mapping[str, int | None]) -> str:
    """Return where the application serves: the ports of its web dynos."""
    web = [port for name, port in ports.items() if name.startswith("web.") and port is not None]
    if not web:
        return ""
    shown = f"port {web[0]}" if len(web) == 1 else f"ports {web[0]} to {web[-1]}"
    return f"web serves on {shown}; "


def _changed(event: DynoStateChanged) -> str | None:
    """Return the line for a new state, None if another line says it."""
    dyno = event.dyno
    match event.after:
        case State.UP:
            where = (None if event.pid is None else f"pid {event.pid}", _address(event))
            told = ", ".join(filter(None, where))
            return f"{dyno} started ({told})" if told else f"{dyno} started"
        case State.CRASHED:
            return f"{_end(event)}, {_restart(event.restart_seconds)}"
        case State.COMPLETE:
            return _end(event)
        case State.STOPPED:
            has_run = event.before is State.STOPPING
            return f"{dyno} stopped{_unusual(event.status) if has_run else ''}"
        case _:
            return None


def _address(event: DynoStateChanged) -> str | None:
    if event.address is None:
        return None
    ip, port = event.address
    host = "localhost" if ip == "127.0.0.1" else ip
    is_web = event.dyno.type == "web"
    return f"http://{host}:{port}" if is_web else f"port {port}"


def _end(event: DynoStateChanged) -> str:
    if event.reason:
        return f"{event.dyno} cannot start: {event.reason}"
    status = event.status
    if status is None:
        return f"{event.dyno} ended"
    if status.signal is not None:
        return f"{event.dyno} was killed by {_signal(status.signal)}"
    return f"{event.dyno} exited with status {status.status}"


def _restart(seconds: float | None) -> str:
    return "restarts now" if not seconds else f"restarts in {max(seconds, 1):.0f} s"


def _unusual(status: ExitStatus | None) -> str:
    """Return how a dyno that was asked to stop has ended, if that tells anything."""
    if status is None or status.signal == SIGTERM or status.status in {0, 128 + SIGTERM}:
        return ""
    if status.signal is not None:
        return f", killed by {_signal(status.signal)}"
    return f" with status {status.status}"


def _signal(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
