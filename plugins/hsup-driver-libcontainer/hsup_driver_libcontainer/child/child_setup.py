"""Prepare a forked process for the program of a dyno, and execute it."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import sys
import termios
from collections.abc import Collection, Sequence
from typing import NoReturn

from hsup_driver_libcontainer.child import kernel, privileges, protocol, reaper
from hsup_driver_libcontainer.child.plan import ProcessSetup, Program, SharedSetup, Terminal
from hsup_driver_libcontainer.child.protocol import Failed, Master

#: The descriptor after the streams; closed when the program is executed.
_NEWS = 3

#: From asm-generic/ioctls.h.
_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431


def lead_session() -> None:
    """Start a session, and reset all signals to their defaults."""
    os.setsid()
    for number in signal.valid_signals():
        if signal.getsignal(number) not in {
            signal.SIG_DFL,
            None,
        }:  # set by Python, hsup or its caller
            signal.signal(number, signal.SIG_DFL)
    reaper.take_signals()


def close_all_but(kept: Collection[int]) -> None:
    """Close all descriptors except for the given ones."""
    first = 0
    for descriptor in sorted(kept):
        if descriptor > first:
            os.closerange(first, descriptor)
        first = descriptor + 1
    kernel.close_range(first)


def open_joins(join_files: Sequence[str]) -> Sequence[int]:
    """Open the files of the host that `join_cgroups` writes to."""
    return [os.open(path, os.O_WRONLY | os.O_CLOEXEC) for path in join_files]


def join_cgroups(joins: Sequence[int]) -> None:
    """Move this process into the dyno's cgroups, and make those the root that it sees."""
    for join in joins:
        os.write(join, b"0")
        os.close(join)
    kernel.unshare(kernel.CLONE_NEWCGROUP)


def limit(process_setup: ProcessSetup, shared_setup: SharedSetup) -> None:
    """Set the limits of a dyno, and keep this process from gaining capabilities."""
    privileges.be_ordinary()
    privileges.set_limits(process_setup.open_files)
    privileges.gain_none(shared_setup.highest_capability)
    if process_setup.cpus:
        os.sched_setaffinity(0, process_setup.cpus)


def open_terminal(channel: socket.socket, terminal: Terminal | None, uid: int) -> int | None:
    """Make a terminal if `terminal` is given; send its master to hsup, return the other end."""
    if terminal is None:
        return None
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    size = struct.pack("4H", terminal.rows, terminal.columns, 0, 0)
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)
    (number,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))
    slave = os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    os.fchown(slave, uid, -1)
    protocol.send(channel, Master(), [master])
    os.close(master)
    return slave


def execute(
    program: Program,
    streams: Sequence[int],
    terminal: int | None,
    news: socket.socket,
) -> NoReturn:
    """Become a program in /app, with no descriptor open but its streams.

    `news` closes when the program is executed, which tells hsup so.
    """
    os.chdir("/app")
    on_terminal: Sequence[int] = ()
    if terminal is not None and program.terminal is not None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        on_terminal = program.terminal.streams
    sources = [
        terminal or 0 if number in on_terminal else stream for number, stream in enumerate(streams)
    ]
    high = [fcntl.fcntl(source, fcntl.F_DUPFD, 10) for source in sources]
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number, inheritable=True)
    if news.fileno() != _NEWS:
        os.dup2(news.fileno(), _NEWS, inheritable=False)
    kernel.close_range(_NEWS + 1)
    try:
        os.execve(program.argv[0], program.argv, program.environment)  # noqa: S606 - the program is hsup's to choose
    except (OSError, ValueError) as error:  # such as a NUL in an argument
        fail(socket.socket(fileno=_NEWS), error)
    os._exit(1)


def fail(news: socket.socket, error: Exception) -> None:
    """Send hsup the reason why a program could not be executed."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError):
        what = error.strerror or ""
        text = f"{os.fsdecode(error.filename)}: {what}" if error.filename else what
    protocol.say(news, Failed(text))


def seal() -> None:
    """Keep Python from reading files by itself: from now on paths lead to the dyno's files.

    Python looks up modules by path, and the lines of a traceback too: root would execute, or
    read, what a dyno has there. `fail` reports failures instead.
    """
    sys.meta_path.clear()
    sys.path.clear()
    sys.excepthook = sys.unraisablehook = _show_nothing


def _show_nothing(*_: object) -> None:
    """Replace the hooks that print a traceback."""
