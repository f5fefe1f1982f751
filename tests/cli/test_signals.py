from __future__ import annotations

import asyncio
import itertools
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from hsup.cli.signals import SignalHandlers
from hsup.errors import DriverError
from hsup.plugins.calls import Calls, PluginPart
from hsup.terminal import REPEAT_SECONDS

CHILD = """
import asyncio, fcntl, signal, termios
from hsup.plugins.calls import Calls
from hsup.cli.signals import SignalHandlers

async def main():
    stopped = asyncio.get_running_loop().create_future()
    SignalHandlers(
        stop=lambda number: stopped.set_result(f"stop {number.name}"),
        reload=lambda: print("reload", flush=True),
        dump=lambda: None,
        resize=lambda: None,
        leave=lambda number: None,
        calls=Calls(),
    ).install()
    print("ready", flush=True)
    async with asyncio.timeout(60):
        print(await stopped, flush=True)

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
if %(nohup)r:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
asyncio.run(main())
"""


class Made:
    """Notes what a signal made hsup do."""

    def __init__(self, calls: Calls | None = None) -> None:
        self.made: asyncio.Queue[object] = asyncio.Queue()
        self.now = 0.0
        SignalHandlers(
            stop=lambda number: self.made.put_nowait(("stop", number)),
            reload=lambda: self.made.put_nowait("reload"),
            dump=lambda: self.made.put_nowait("dump"),
            resize=lambda: self.made.put_nowait("resize"),
            leave=lambda number: self.made.put_nowait(("leave", number)),
            calls=calls or Calls(),
            clock=lambda: self.now,
        ).install()

    async def next(self) -> object:
        return await self.made.get()

    def none_is_left(self) -> bool:
        return self.made.empty()


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("number", "call"),
    [
        (signal.SIGINT, ("stop", signal.SIGINT)),
        (signal.SIGTERM, ("stop", signal.SIGTERM)),
        (signal.SIGHUP, "reload"),
        (signal.SIGUSR1, "dump"),
        (signal.SIGWINCH, "resize"),
    ],
)
async def test_a_signal_does_what_the_manual_says(
    number: signal.Signals, call: tuple[str, signal.Signals] | str
) -> None:
    made = Made()
    os.kill(os.getpid(), number)
    assert await made.next() == call


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_third_signal_that_stops_ends_hsup(number: signal.Signals) -> None:
    made = Made()
    for expected in ("stop", "stop", "leave"):
        os.kill(os.getpid(), number)
        assert await made.next() == (expected, number)
        made.now += REPEAT_SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_comes_twice_at_once_is_one_signal(
    number: signal.Signals,
) -> None:
    made = Made()
    os.kill(os.getpid(), number)
    assert await made.next() == ("stop", number)
    made.now += REPEAT_SECONDS - 0.01
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert await made.next() == "dump"
    made.now += 0.01
    os.kill(os.getpid(), number)
    assert await made.next() == ("stop", number)


def raise_again_at(step: int, number: signal.Signals) -> bool:
    """Raise a signal, and again while its handler takes a step; return False if it takes fewer."""
    taken = itertools.count()
    again: list[int] = []

    def trace(frame: FrameType, _event: str, _arg: object) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        if frame.f_code.co_name in {"_end", "is_one"} and next(taken) == step:
            again.append(step)
            signal.raise_signal(number)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        signal.raise_signal(number)
    finally:
        sys.settrace(before)
    return bool(again)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGXCPU, signal.SIGPWR])
async def test_what_comes_again_while_it_is_handled_is_one_signal(number: signal.Signals) -> None:
    for step in itertools.count():
        made = Made()
        if not raise_again_at(step, number):
            break
        assert await made.next() == ("stop", number)
        await asyncio.sleep(0)
        assert made.none_is_left(), step
    assert step > 20


async def test_two_signals_of_different_kinds_are_two_however_close() -> None:
    made = Made()
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
        assert await made.next() == ("stop", number)


async def test_sigquit_stops_at_once_and_is_two_signals() -> None:
    made = Made()
    os.kill(os.getpid(), signal.SIGQUIT)
    assert [await made.next(), await made.next()] == [("stop", signal.SIGQUIT)] * 2
    os.kill(os.getpid(), signal.SIGTERM)
    assert await made.next() == ("leave", signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGXCPU, signal.SIGPWR])
async def test_what_the_system_says_again_and_again_stops_once(number: signal.Signals) -> None:
    made = Made()
    for _ in range(3):
        os.kill(os.getpid(), number)
        made.now += 1
    os.kill(os.getpid(), signal.SIGUSR1)
    assert [await made.next(), await made.next()] == [("stop", number), "dump"]


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGALRM,
        signal.SIGIO,
        signal.SIGPROF,
        signal.SIGSTKFLT,
        signal.SIGUSR2,
        signal.SIGVTALRM,
        signal.SIGRTMIN,
        signal.SIGRTMIN + 5,
        signal.SIGRTMAX,
    ],
)
async def test_what_means_nothing_to_hsup_is_ignored_and_told_once(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    made = Made()
    for _ in range(3):
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), signal.SIGUSR1)
    assert await made.next() == "dump"
    assert [one.getMessage().startswith("ignored ") for one in caplog.records] == [True]


async def test_a_second_signal_breaks_off_a_call_that_blocks_the_loop(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the handlers of signals are called while a plugin sleeps."""
    monkeypatch.setattr("hsup.plugins.calls.BLOCKED_SECONDS", 0.0)
    calls = Calls()
    made = Made(calls)
    part = PluginPart("driver", "bug", "hsup-driver-bug", "1.0")

    def block() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        made.now += 1
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait()  # for ever

    with pytest.raises(DriverError, match="it blocked hsup and was interrupted"):
        calls.run(part, "start web.1", block, failure=DriverError)
    said = capfd.readouterr().err
    blocking = 'driver "bug" has been trying to start web.1 for 0 s'
    assert f"hsup is blocked: {blocking}\n" in said
    assert f"interrupting what blocks hsup: {blocking}\n" in said
    assert [await made.next(), await made.next()] == [("stop", signal.SIGTERM)] * 2


@pytest.fixture
def on_terminal() -> Iterator[Callable[..., tuple[subprocess.Popen[str], Callable[[], None]]]]:
    """Return a starter of children that a terminal of their own controls."""
    children, descriptors = [], []

    def start(*, nohup: bool) -> tuple[subprocess.Popen[str], Callable[[], None]]:
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
        assert child.stdout
        assert child.stdout.readline() == "ready\n"

        def hang_up() -> None:
            os.close(descriptors.pop())

        return child, hang_up

    yield start
    for child in children:
        child.kill()
        child.communicate()
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_sighup_because_the_terminal_is_gone_stops(
    on_terminal: Callable[..., tuple[subprocess.Popen[str], Callable[[], None]]],
) -> None:
    child, hang_up = on_terminal(nohup=False)
    child.send_signal(signal.SIGHUP)
    assert child.stdout.readline() == "reload\n"
    hang_up()
    assert child.stdout.readline() == "stop SIGHUP\n"
    assert child.wait() == 0


def test_with_nohup_a_terminal_may_go(
    on_terminal: Callable[..., tuple[subprocess.Popen[str], Callable[[], None]]],
) -> None:
    child, hang_up = on_terminal(nohup=True)
    hang_up()
    assert child.stdout.readline() == "reload\n"
    child.send_signal(signal.SIGTERM)
    assert child.stdout.readline() == "stop SIGTERM\n"
