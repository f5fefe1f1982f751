"""The reaper forwards signals; it runs outside of a dyno here."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from hsup_driver_libcontainer.child import protocol

#: Serves a program, whose output it shares, as the first process of a dyno does.
SERVE = """
import os
import sys
from hsup_driver_libcontainer.child import reaper
reaper.await_signals()
reaper.have_children()
program = os.fork()
if not program:
    reaper.take_signals()
    os.execv("/bin/bash", ["bash", "-c", sys.argv[2]])
reaper.serve(int(sys.argv[1]), program, program)
"""


@pytest.fixture
def unignored() -> Iterator[None]:
    """Let child processes receive a signal that the caller of this process may ignore."""
    before = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGQUIT, before)


@pytest.mark.usefixtures("unignored")
@pytest.mark.parametrize(
    "number", [signal.SIGQUIT, signal.SIGUSR2, signal.SIGRTMIN, signal.SIGRTMIN + 5]
)
def test_a_signal_to_it_is_the_programs(number: signal.Signals | int) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    line = f"trap 'kill $!; exit 7' {int(number)}; sleep 60 & echo ready; wait"
    words = [sys.executable, "-c", SERVE, str(theirs.fileno()), line]
    with (
        ours,
        theirs,
        subprocess.Popen(words, stdout=subprocess.PIPE, pass_fds=[theirs.fileno()]) as serving,
    ):
        theirs.close()
        assert serving.stdout.readline() == b"ready\n"
        serving.send_signal(number)
        received = protocol.receive(ours)
        assert received is not None
        assert received.message.status == 7 << 8
        serving.wait(60)
