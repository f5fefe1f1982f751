from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys

import pytest

from hsup import signals

CHILD = """
import asyncio, fcntl, signal, termios
from hsup import signals

async def main():
    stopped = asyncio.get_running_loop().create_future()
    signals.install(
        stop=lambda number: stopped.set_result(f"stop {number.name}"),
        reload=lambda: print("reload", flush=True),
        dump=lambda: None,
    )
    print("ready", flush=True)
    async with asyncio.timeout(10):
        print(await stopped, flush=True)

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if %(nohup)r:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
asyncio.run(main())
"""


class Calls:
    """Notes what a signal made hsup do."""

    def __init__(self):
        self.made = asyncio.Queue()
        signals.install(
            stop=lambda number: self.made.put_nowait(("stop", number)),
            reload=lambda: self.made.put_nowait("reload"),
            dump=lambda: self.made.put_nowait("dump"),
        )


@pytest.mark.parametrize(
    ("number", "call"),
    [
        (signal.SIGINT, ("stop", signal.SIGINT)),
        (signal.SIGTERM, ("stop", signal.SIGTERM)),
        (signal.SIGHUP, "reload"),
        (signal.SIGUSR1, "dump"),
    ],
)
async def test_a_signal_does_what_the_manual_says(number, call):
    calls = Calls()
    os.kill(os.getpid(), number)
    assert await calls.made.get() == call


async def test_signals_may_come_again_and_again():
    calls = Calls()
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGTERM)
        assert await calls.made.get() == ("stop", signal.SIGTERM)


@pytest.fixture
def on_terminal():
    """Return a starter of children that a terminal of their own controls."""
    children, descriptors = [], []

    def start(*, nohup):
        master, slave = pty.openpty()
        descriptors.append(master)
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD % {"nohup": nohup}],
            stdin=slave,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        os.close(slave)
        children.append(child)
        assert child.stdout.readline() == "ready\n"

        def hang_up():
            os.close(descriptors.pop())

        return child, hang_up

    yield start
    for child in children:
        child.kill()
        child.communicate()
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_sighup_because_the_terminal_is_gone_stops(on_terminal):
    child, hang_up = on_terminal(nohup=False)
    child.send_signal(signal.SIGHUP)
    assert child.stdout.readline() == "reload\n"
    hang_up()
    assert child.stdout.readline() == "stop SIGHUP\n"
    assert child.wait() == 0


def test_with_nohup_a_terminal_may_go(on_terminal):
    child, hang_up = on_terminal(nohup=True)
    hang_up()
    assert child.stdout.readline() == "reload\n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline() == "stop SIGTERM\n"
