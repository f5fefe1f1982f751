"""A foreground session's reaction to the messages of a dyno's processes, which the test sends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from hsup.errors import DynoStartError
from hsup.foreground import Session
from hsup.model import ExitStatus
from hsup_driver_libcontainer.child import protocol
from hsup_driver_libcontainer.child.plan import Terminal
from hsup_driver_libcontainer.child.protocol import (
    Built,
    Channels,
    Exited,
    Failed,
    Master,
    Signal,
    Watch,
)
from hsup_driver_libcontainer.foreground import AttachedDyno, Begun
from hsup_driver_libcontainer.streams import Streams


class Dyno:
    """A session and the processes' ends of its channels and pipes; the first process sleeps."""

    def __init__(self, opened: ExitStack, terminal: Any = None) -> None:
        (first, self.first), (setup, self.builder) = protocol.pair(), protocol.pair()
        for one in (first, self.first, setup, self.builder):
            opened.enter_context(one)
        self.process = opened.enter_context(subprocess.Popen(["sleep", "600"]))
        opened.callback(self.process.kill)
        streams = Streams([0, 1, 2])
        self.outputs = [os.dup(one) for one in streams.given[1:]]
        streams.leave()
        opened.callback(self.close_outputs)
        self.memory_event = os.eventfd(0)
        self.is_firewall_closed = False
        begun = Begun(Channels(first, setup, "socket:[0]"), streams, terminal, self.memory_event)
        self.attached = AttachedDyno(begun, self._end_soon)

    def run(self, signals: Sequence[int] = (), grace_seconds: float = 60.0) -> ExitStatus:
        """Return the result of all messages so far."""
        woken, wake = os.pipe()
        os.write(wake, bytes(signals))
        try:
            terminal = self.attached.terminal
            return Session(self.attached, woken, grace_seconds, terminal).run()
        finally:
            os.close(woken)
            os.close(wake)

    def launch(self) -> None:
        """Play the builder until it has become the program."""
        self.watch()
        protocol.send(self.builder, Built(has_copied_owner=False))
        self.builder.close()

    def watch(self) -> None:
        pidfd = os.pidfd_open(self.process.pid)
        protocol.send(self.builder, Watch(), [pidfd])
        os.close(pidfd)

    def exit(self, status: int, *, is_last: bool = True) -> None:
        """Play the first process, which reports the program's end, and ends after all others."""
        protocol.send(self.first, Exited(status, is_last))
        self.close_outputs()
        if is_last:
            self.process.kill()

    def close_outputs(self) -> None:
        while self.outputs:
            os.close(self.outputs.pop())

    def told(self) -> Iterator[object]:
        """Return the messages that the first process has received, if any."""
        self.first.setblocking(False)
        with suppress(BlockingIOError):
            while received := protocol.receive(self.first):
                yield received.message

    def _end_soon(self) -> None:
        self.is_firewall_closed = True


@pytest.fixture
def dyno() -> Iterator[Callable[..., Dyno]]:
    with ExitStack() as opened:
        yield lambda terminal=None: Dyno(opened, terminal)


def test_it_ends_as_the_program_did_having_shown_all_that_it_wrote(
    dyno: Callable[..., Dyno], capfd: pytest.CaptureFixture[str]
) -> None:
    one = dyno()
    one.launch()
    for output, words in zip(one.outputs, (b"out", b"err"), strict=True):
        os.write(output, words)
    one.exit(3 << 8)
    assert one.run() == ExitStatus(code=3)
    assert capfd.readouterr() == ("out", "err")
    assert one.is_firewall_closed


def test_both_streams_into_one_file_keep_their_order(
    dyno: Callable[..., Dyno], tmp_path: Path
) -> None:
    kept = [os.dup(1), os.dup(2)]
    with (tmp_path / "out").open("wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        one = dyno()
        one.launch()
        for number in range(10):
            os.write(one.outputs[number % 2], b"%d" % number)
        one.exit(0)
        one.run()
    finally:
        for stream, copy in zip((1, 2), kept, strict=True):
            os.dup2(copy, stream)
            os.close(copy)
    assert (tmp_path / "out").read_bytes() == b"0123456789"


def test_what_the_program_leaves_running_is_killed(dyno: Callable[..., Dyno]) -> None:
    one = dyno()
    one.launch()
    one.exit(0, is_last=False)
    assert one.run() == ExitStatus()
    assert one.process.wait() == -signal.SIGKILL
    assert not one.is_firewall_closed


def test_whoever_was_told_to_end_has_its_grace_and_is_killed_then(
    dyno: Callable[..., Dyno],
) -> None:
    one = dyno()
    one.launch()
    one.close_outputs()
    status = one.run(signals=[signal.SIGUSR1, signal.SIGTERM], grace_seconds=0.05)
    assert status == ExitStatus(signal=signal.SIGKILL)
    assert one.process.wait() == -signal.SIGKILL
    assert list(one.told()) == [Signal(signal.SIGUSR1), Signal(signal.SIGTERM)]


def test_others_have_the_grace_where_the_program_was_told_to_end(dyno: Callable[..., Dyno]) -> None:
    one = dyno()
    one.launch()
    one.close_outputs()

    def end() -> None:
        protocol.receive(one.first)  # SIGTERM
        protocol.send(one.first, Exited(7 << 8, is_last=False))

    program = threading.Thread(target=end)
    program.start()
    started = time.monotonic()
    assert one.run(signals=[signal.SIGTERM], grace_seconds=0.1) == ExitStatus(code=7)
    assert time.monotonic() - started >= 0.1
    program.join()


def test_one_that_is_told_twice_while_it_is_made_is_not_waited_for(
    dyno: Callable[..., Dyno],
) -> None:
    one = dyno()
    one.close_outputs()
    status = one.run(signals=[signal.SIGHUP, signal.SIGTERM])
    assert status == ExitStatus(signal=signal.SIGKILL)
    assert list(one.told()) == [Signal(signal.SIGHUP)]
    assert protocol.receive(one.builder) is None


def test_one_whose_builder_was_killed_counts_as_killed(dyno: Callable[..., Dyno]) -> None:
    one = dyno()
    one.close_outputs()
    one.builder.close()
    assert one.run() == ExitStatus(signal=signal.SIGKILL)


def test_why_it_could_not_be_started_is_told(dyno: Callable[..., Dyno]) -> None:
    one = dyno()
    one.watch()
    protocol.send(one.builder, Failed("no such file"))
    with pytest.raises(DynoStartError, match="cannot start the dyno: no such file"):
        one.run()


def test_too_many_open_files_are_an_error_that_says_so(
    dyno: Callable[..., Dyno], descriptors_left: Callable[[int], AbstractContextManager[None]]
) -> None:
    one = dyno()
    one.watch()
    woken, wake = os.pipe()
    session = Session(one.attached, woken, 1.0)
    with descriptors_left(0), pytest.raises(OSError, match="Too many open files"):
        session.run()
    os.close(woken)
    os.close(wake)


def test_memory_that_ran_out_ends_all_processes_and_is_told(dyno: Callable[..., Dyno]) -> None:
    one = dyno()
    one.launch()
    os.eventfd_write(one.memory_event, 1)
    one.exit(signal.SIGKILL)
    assert one.run() == ExitStatus(signal=signal.SIGKILL, out_of_memory=True)
    assert list(one.told()) == [Signal(signal.SIGKILL)]


def test_what_is_written_on_a_terminal_is_shown(
    dyno: Callable[..., Dyno], capfd: pytest.CaptureFixture[str]
) -> None:
    one = dyno(Terminal((1,), 24, 80))
    master, slave = os.openpty()
    one.watch()
    protocol.send(one.builder, Master(), [master])
    os.close(master)
    one.builder.close()
    os.write(slave, b"word\n")
    os.close(slave)
    one.exit(0)
    assert one.run() == ExitStatus()
    assert capfd.readouterr().out == "word\r\n"


def test_signals_are_dropped_where_the_first_process_does_not_read_them(
    dyno: Callable[..., Dyno],
) -> None:
    """It may have been stopped; hsup does not wait for it."""
    one = dyno()
    one.launch()
    one.first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    one.close_outputs()
    many = [signal.SIGUSR1] * 4000
    status = one.run(signals=[*many, signal.SIGTERM], grace_seconds=0.05)
    assert status == ExitStatus(signal=signal.SIGKILL)
