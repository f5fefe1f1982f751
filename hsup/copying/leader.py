"""The leader of the session that the program's own terminal has, while hsup runs in it as a job.

A job can only be stopped, by ^Z, if a process of its session waits for it outside of its process
group (man 7 credentials; POSIX, orphaned process group). The leader stops itself as well: the relay
sees that, and stops in the session of the caller's shell.

    caller's shell ──▶ relay ──▶ leader ──▶ runner, program
"""

from __future__ import annotations

import fcntl
import os
import signal
import termios
from contextlib import suppress
from typing import NoReturn

from hsup.copying.ends import STDERR, STDIN, STDOUT, close_others


def lead(terminal: int) -> None:
    """Begin a session with a terminal, and return in its job; the leader itself never returns."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    job = os.fork()
    if job:
        _wait(job)
    os.setpgid(0, 0)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
    os.tcsetpgrp(terminal, os.getpid())
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _wait(job: int) -> NoReturn:
    """Stop when the job stops, continue it when this is continued, and end as it ends.

    If the relay is killed, the kernel tells the leader that the terminal has hung up, and nobody
    else (man 4 tty_ioctl; Linux, drivers/tty/tty_jobctrl.c).
    """
    signal.signal(signal.SIGHUP, lambda *_: os.kill(job, signal.SIGHUP))
    signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() - {signal.SIGHUP})
    close_others(())
    for stream in (STDIN, STDOUT, STDERR):
        with suppress(OSError):
            os.close(stream)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            end_like(status)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.killpg(job, signal.SIGCONT)


def end_like(status: int) -> NoReturn:
    """End with the wait status of another process."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        with suppress(OSError):  # SIGKILL has one disposition
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
