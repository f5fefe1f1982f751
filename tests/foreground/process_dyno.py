"""Run a line of the shell as a driver's dyno, on this process's own streams.

    process_dyno.py LINE [--grace SECONDS] [--terminal] [--break-off]

The dyno is a process group on pipes, or on a terminal of its own. With --break-off it is told
to end where its output cannot be written, without it whoever writes gets SIGPIPE.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hsup.errors import HsupError
from hsup.foreground import Input, Session
from hsup.model import ExitStatus
from hsup.terminal import open_streams, signals_woken


class Written:
    """The sink of a descriptor, which is closed at the end."""

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self.fileno = lambda: descriptor
        self.write = partial(os.write, descriptor)
        self.end: Callable[[], None] = partial(os.close, descriptor)


class ProcessDyno:
    def __init__(self, line: str, terminal: tuple[int, ...], *, breaks_off: bool) -> None:
        self.terminal = terminal
        self._breaks_off = breaks_off
        self._open: dict[int, Callable[[bytes], object]] = {}
        self._master: int | None = None
        words: tuple[str, ...]
        if terminal:
            self._master, theirs = os.openpty()
            streams, words = [theirs] * 3, ("setsid", "--ctty")
        else:
            pipes = [os.pipe() for _ in range(3)]
            streams, words = [pipes[0][0], pipes[1][1], pipes[2][1]], ("setsid",)
            self._input, *outputs = pipes[0][1], pipes[1][0], pipes[2][0]
            self._outputs = dict(zip(outputs, (1, 2), strict=True))
        stdin, stdout, stderr = streams
        argv = (*words, "bash", "-c", line)
        self._process = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr)
        for stream in {*streams}:
            os.close(stream)
        self._pidfd = os.pidfd_open(self._process.pid)

    def begin(self, session: Session) -> None:
        self._session = session
        session.loop.add_reader(self._pidfd, self._see_end)
        if self._master is None:
            session.feed(Written(self._input))
            for pipe, stream in self._outputs.items():
                self._add(pipe, partial(self._write, stream))
        else:
            self._add(self._master, session.show)
            sink = Written(self._master)
            sink.end = lambda: None
            session.feed(sink)

    def is_over(self) -> bool:
        return self._process.returncode is not None and not self._open

    def status(self) -> ExitStatus:
        code = self._process.returncode
        return ExitStatus(signal=-code) if code < 0 else ExitStatus(code=code)

    def send(self, number: int) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass

    def stop(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.send(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def resize(self, size: Any) -> None:
        assert self._master is not None
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("4H", *size, 0, 0))

    def _see_end(self) -> None:
        self._session.loop.remove_reader(self._pidfd)
        self._process.wait()
        self._session.take(Input.PROGRAM_ENDED)

    def _add(self, descriptor: int, show: Callable[[bytes], object]) -> None:
        self._open[descriptor] = show
        self._session.loop.add_reader(descriptor, partial(self._read, descriptor))

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or self._open[descriptor](data) is False:
            self._session.loop.remove_reader(descriptor)
            del self._open[descriptor]
            if descriptor != self._master:
                os.close(descriptor)

    def _write(self, stream: int, data: bytes) -> bool:
        still_takes_it = self._session.write(stream, data)
        if not still_takes_it and self._breaks_off:
            self._session.take(Input.OUTPUT_BROKEN)
        return still_takes_it


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("line")
    parser.add_argument("--grace", type=float, default=60.0)
    parser.add_argument("--terminal", action="store_true")
    parser.add_argument("--break-off", action="store_true")
    given = parser.parse_args()
    streams = tuple(filter(os.isatty, open_streams())) if given.terminal else ()
    try:
        with signals_woken() as woken:
            dyno = ProcessDyno(given.line, streams, breaks_off=given.break_off)
            status = Session(dyno, woken, given.grace, streams).run()
    except HsupError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    sys.exit(status.status)


main()
