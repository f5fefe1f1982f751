"""Format log lines for a person who reads them on a terminal."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from signal import SIGTERM, Signals

from hsup.api import SUPERVISOR, LogBatch, LogEvent
from hsup.events import (
    DynoExited,
    DynoStateChanged,
    ReleaseReceived,
    SupervisorStarted,
    SupervisorStopping,
)
from hsup.formats.paint import Paint, prefixed
from hsup.lifecycle import State
from hsup.model import RELEASE_TYPE, DynoName, ExitStatus, Release
from hsup.output import messages
from hsup.output.escapes import kept_to_lines, whole_sequences
from hsup.output.lines import METRICS
from hsup.visible import visible

_ESCAPE, _RESET = b"\x1b", b"\x1b[0m"
#: A carriage return inside a line: what follows is written over it.
_RETURN = re.compile(rb"\r(?=[^\r\n])")
#: What was written over since, of a line that goes on.
_LAST_WRITTEN = re.compile(rb"\A[^\n]*\r(?=[^\r\n])")
#: What the name column says of lines of hsup's own.
_OWN_NAME = "hsup"
#: Events that others say in fewer words: see `_changed`.
_UNSAID = frozenset(
    {
        "starting",
        "stopping",
        "killing",
        "adopted",
        "config_set",
        "config_removed",
        "deployed",
        "release_phase_started",
        "release_phase_failed",
    }
)
#: The codes of errors that the line after them says again, with a hint.
_UNSAID_CODES = frozenset({"R17"})
#: A sentence, unlike a label such as `Warning:`.
_SENTENCE = re.compile(rb"\A[A-Z](?=[a-z]* )")
#: No line of the banner is cut to less than this, however narrow the window is.
_LEAST_COLUMNS = 16
#: What a release phase is called, with any number.
_RELEASE_PHASE = str(DynoName(RELEASE_TYPE, 1000))
_NO_EVENT = LogEvent("notice")
#: This very event is that of a record of hsup's own log, which may begin with a name.
LOGGED = LogEvent("notice")


class ScreenFormatter:
    """`12:28:33 web.1    | line`: local time, a name in a colour of its own, the line.

    A change has one line of hsup's own, and not one for each step. Whatever a line does to the
    terminal's colours ends with it, what is written over a line begins with its prefix, and what
    is for the whole screen is left out. Without a prefix, the lines of dynos are as these wrote
    them, but for their colours. If the terminal `echoes` keys, lines are written over the ^C that
    stops hsup. `columns` returns how wide the window is, None if there is none.
    """

    def __init__(
        self,
        *,
        coloured: bool,
        has_times: bool = True,
        has_prefix: bool = True,
        echoes: bool = False,
        columns: Callable[[], int | None] = lambda: None,
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
        self._columns = columns
        self._over_keys = b""
        self._own_words = _OwnWords(self._application)
        # Only for a screen, and now: at the start, no descriptor may be left for an import.
        from hsup.output.banner import application, banner

        self._fitting_application, self._banner = application, banner

    @property
    def prefix_columns(self) -> int:
        """Return how many columns of the terminal the time and the name take."""
        if not self._has_prefix:
            return 0
        return self._width + len(" | ") + (len("12:28:33 ") if self._has_times else 0)

    def __call__(self, batch: LogBatch, *, goes_on: bool = False) -> bytes:
        """Return what is printed for a batch, b"" for nothing."""
        if batch.event is not None and batch.event.name != METRICS:
            lines = self._own_words(batch)
            return self._own(batch._replace(lines=lines), goes_on=goes_on) if lines else b""
        if self._has_prefix and batch.event is None:
            batch = batch._replace(lines=self._kept_to_lines(batch))
            if batch.is_partial and not batch.lines:
                return b""
        if batch.is_partial and not goes_on:
            batch = batch._replace(lines=_LAST_WRITTEN.sub(b"", batch.lines, count=1))
        return self._contained(self._prefix(batch, batch.dyno), batch, goes_on=goes_on)

    def announce(
        self,
        source: str,
        driver: str,
        release: Release,
        ports: Mapping[str, int | None],
        may_listen: Callable[[int], bool],
        *,
        moment: int,
    ) -> bytes:
        """Return what is printed at the start, and keep room for all names: see `banner`.

        `may_listen` tells whether a dyno may listen on a port now; `moment` is the time of the
        start, in nanoseconds.
        """
        self._keep_room((*ports, _RELEASE_PHASE) if release.process(RELEASE_TYPE) else ports)
        self._own_words.has_announced(release, ports, may_listen)
        unavailable, width = self._own_words.unavailable, self._room()
        lines = self._banner(source, driver, release, ports, unavailable=unavailable, width=width)
        text = "".join(f"{line}\n" for line in lines).encode()
        return self._own(LogBatch(moment, "hsup", SUPERVISOR, "stdout", text), goes_on=False)

    def interrupted(self) -> bytes:
        """Return what ends the colours of a line that has not ended."""
        was_coloured, self._is_coloured = self._is_coloured, False
        return _RESET if was_coloured else b""

    def _own(self, batch: LogBatch, *, goes_on: bool) -> bytes:
        """Return what is printed for lines of hsup's own."""
        self._keep_room(self._own_words.dynos)
        if self._echoes and isinstance((batch.event or _NO_EVENT).of, SupervisorStopping):
            self._over_keys = b"\r"
        prefix = self._prefix(batch, _OWN_NAME) or self._over_keys
        return self._contained(prefix, batch, goes_on=goes_on)

    def _application(self, release: Release, names: Sequence[str]) -> str:
        """Return the first line of the banner for a release that was not announced."""
        self._keep_room(names)
        return self._fitting_application(release, names, self._room())

    def _keep_room(self, names: Iterable[str]) -> None:
        """Make the column wide enough for names."""
        self._width = max(self._width, *map(len, (_OWN_NAME, *names)))

    def _room(self) -> int:
        """Return how many columns of the window a line of the banner may take."""
        columns = self._columns()
        width = sys.maxsize if columns is None else columns - self.prefix_columns
        return max(width, _LEAST_COLUMNS)

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
        return self._over_keys + prefix + b" "

    def _time(self, nanoseconds: int) -> bytes:
        second = nanoseconds // 1_000_000_000
        if second != self._second:
            self._second = second
            self._clock = time.strftime("%H:%M:%S", time.localtime(second)).encode()
        return self._clock


class _OwnWords:
    """Says a change in one line, and what has no line of its own.

    `unavailable` are the ports of web dynos on which these could not listen when they started.
    `application` returns the line for a release that runs instead of the one that was announced.
    """

    def __init__(self, application: Callable[[Release, Sequence[str]], str]) -> None:
        self.unavailable: set[int] = set()
        self._application = application
        self._announced: tuple[int, list[str]] | None = None
        self._received_last: ReleaseReceived | None = None
        self._ports: Mapping[str, int | None] = {}
        self._may_listen: Callable[[int], bool] = lambda _: True
        self._adopted: set[str] = set()
        self._overdue: set[str] = set()  # their end was told already

    @property
    def dynos(self) -> list[str]:
        """Return the names of the dynos that are to run."""
        return list(self._ports)

    def has_announced(
        self,
        release: Release,
        ports: Mapping[str, int | None],
        may_listen: Callable[[int], bool],
    ) -> None:
        """Note which release was announced, and on which of its ports no dyno can listen."""
        self._ports, self._may_listen = ports, may_listen
        self._announced = (release.version, self.dynos)
        for name in ports:
            self._look_at_port(name)

    def __call__(self, batch: LogBatch) -> bytes:
        """Return the lines for a line of hsup's own, b"" if another one says it."""
        event = batch.event or _NO_EVENT
        match event.of:
            case SupervisorStarted() | DynoExited():
                text = None
            case ReleaseReceived() as received if event.name not in _UNSAID:
                text = self._received(received)
            case DynoStateChanged() as changed:  # else the line says why it could not start
                text = self._changed(changed) if event.name == "state_changed" else None
            case SupervisorStopping() as stopping:
                text = f"stopping all dynos: {stopping.reason}"
            case _:
                return self._others(batch, event)
        return f"{visible(text)}\n".encode() if text else b""

    def _others(self, batch: LogBatch, event: LogEvent) -> bytes:
        """Return the lines for what is no event of observers, or is told by another line."""
        if event.name == messages.ADOPTED.event.name:
            self._adopted.add(batch.dyno)
        if event.name in _UNSAID or (event.name == "error" and event.code in _UNSAID_CODES):
            return b""
        if event.code == messages.EXIT_TIMEOUT_CODE:
            self._overdue.add(batch.dyno)
            reason = batch.lines.removeprefix(messages.EXIT_TIMEOUT.encode()).rstrip(b"\n")
            return b"%b was killed: %b (R12)\n" % (batch.dyno.encode(), _sentence(reason))
        lines = batch.lines if event is LOGGED else _sentence(batch.lines)
        return lines if batch.dyno == SUPERVISOR else f"{batch.dyno}: ".encode() + lines

    def _received(self, event: ReleaseReceived) -> str | None:
        """Return the line for a release, None if it was announced, or its line is not the first."""
        if event is self._received_last:
            return None
        self._received_last, self._ports = event, event.ports
        announced, self._announced = self._announced, None
        release = event.release
        if announced is None:
            return f"release v{release.version}"
        is_announced = announced == (release.version, self.dynos)
        return None if is_announced else self._application(release, self.dynos)

    def _changed(self, event: DynoStateChanged) -> str | None:
        """Return the line for a new state, None if another line says it."""
        match event.after:
            case State.PROVISIONING:
                self._look_at_port(str(event.dyno))
                return None
            case State.UP:
                return self._up(event)
            case State.CRASHED:
                return f"{_end(event)}, {_restart(event.restart_seconds)}"
            case State.COMPLETE:
                return _end(event)
            case State.STOPPED:
                return self._stopped(event)
            case _:
                return None

    def _look_at_port(self, dyno: str) -> None:
        """Note whether a web dyno that is about to start may listen on its port."""
        port = self._ports.get(dyno)
        if port is None or not dyno.startswith("web."):
            return
        if self._may_listen(port):
            self.unavailable.discard(port)
        else:
            self.unavailable.add(port)

    def _up(self, event: DynoStateChanged) -> str:
        dyno = str(event.dyno)
        is_adopted = dyno in self._adopted
        self._adopted.discard(dyno)
        self._overdue.discard(dyno)
        text = f"{dyno} was left running by a previous hsup" if is_adopted else f"{dyno} started"
        where = (None if event.pid is None else f"pid {event.pid}", self._address(event))
        told = ", ".join(filter(None, where))
        return f"{text} ({told})" if told else text

    def _stopped(self, event: DynoStateChanged) -> str | None:
        dyno = str(event.dyno)
        if dyno in self._overdue:
            self._overdue.discard(dyno)
            return None
        has_run = event.before is State.STOPPING
        return f"{dyno} stopped{_unusual(event.status) if has_run else ''}"

    def _address(self, event: DynoStateChanged) -> str | None:
        if event.address is None:
            return None
        ip, port = event.address
        host = "localhost" if ip == "127.0.0.1" else ip
        serves = event.dyno.type == "web" and port not in self.unavailable
        return f"http://{host}:{port}" if serves else f"port {port}"


def _sentence(line: bytes) -> bytes:
    """Return a line as one that follows a name: it begins with a small letter."""
    return _SENTENCE.sub(lambda found: found[0].lower(), line)


def _end(event: DynoStateChanged) -> str:
    if event.reason:
        return f"{event.dyno} cannot start: {event.reason}"
    status = event.status
    if status is None:
        return f"{event.dyno} ended"
    if status.signal is not None:
        return f"{event.dyno} was killed by {_signal(status.signal)}{_memory(status)}"
    return f"{event.dyno} exited with status {status.status}{_memory(status)}"


def _memory(status: ExitStatus) -> str:
    return ", out of memory (R15)" if status.out_of_memory else ""


def _restart(seconds: float | None) -> str:
    return "restarts now" if not seconds else f"restarts in {max(seconds, 1):.0f} s"


def _unusual(status: ExitStatus | None) -> str:
    """Return how a dyno that was asked to stop has ended, if that tells anything."""
    if status is None:
        return ""
    if status.signal == SIGTERM or status.status in {0, 128 + SIGTERM}:
        return _memory(status)
    if status.signal is not None:
        return f", killed by {_signal(status.signal)}{_memory(status)}"
    return f" with status {status.status}{_memory(status)}"


def _signal(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # most real-time signals have no name
        return f"signal {number}"
