"""A run ends in the right way, in whichever order the engine reports events."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from hsup.errors import DriverError
from hsup.foreground import Session
from hsup.model import ExitStatus
from hsup.terminal import signals_woken
from hsup.testing import make_spec
from hsup_driver_docker.containers.handle import AttachedRun, Handle
from hsup_driver_docker.engine.client import Engine, State
from hsup_driver_docker.engine.connection import Connection, EngineError, EngineUnreachable, Stream
from hsup_driver_docker.engine.endpoint import find
from hsup_driver_docker.engine.events import Event, Lines
from hsup_driver_docker.foreground import AttachedContainer
from hsup_driver_docker.images.image import Image

OUTPUT = b"\1\0\0\0\0\0\0\3out\2\0\0\0\0\0\0\3err"
REMOVED = b'{"Error":null,"StatusCode":%d}\n'


def line(what: str, **attributes: str) -> str:
    return json.dumps({"Action": what, "Actor": {"ID": "c1", "Attributes": attributes}}) + "\n"


def died(code: int) -> str:
    return line("die", exitCode=str(code), name="hsup-shop-run.1")


class Told:
    """A session, with the engine's ends of its streams."""

    def __init__(self, opened: ExitStack, first: bytes) -> None:
        engine = Engine(Connection(find({"DOCKER_HOST": "unix:///none"})))
        pairs = [socket.socketpair() for _ in range(3)]
        for pair in pairs:
            for one in pair:
                opened.enter_context(one)
        self.output, self.events, self.removal = (theirs for _, theirs in pairs)
        streams = [Stream(ours, b"") for ours, _ in pairs]
        streams[1] = streams[1]._replace(first=first)
        handle = Handle(engine, "c1", "hsup-shop-run.1", make_spec("run.1"), Image("sha256:0"))
        self._container = AttachedContainer(AttachedRun(handle, *streams), has_terminal=False)

    def run(self, signals: bytes = b"") -> ExitStatus:
        """Return the exit status, once the output has ended."""
        woken, wake = os.pipe()
        os.write(wake, signals)
        try:
            return self.run_woken(woken)
        finally:
            os.close(woken)
            os.close(wake)

    def run_woken(self, woken: int) -> ExitStatus:
        """Return the exit status; `woken` is the descriptor with the numbers of signals."""
        self.output.sendall(OUTPUT)
        self.output.close()
        return self.relay(woken)

    def relay(self, woken: int) -> ExitStatus:
        return Session(self._container, woken, grace_seconds=1.0).run()


@pytest.fixture
def told(capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Told]]:
    with ExitStack() as opened:
        yield lambda first=b"": Told(opened, first)
    assert capfd.readouterr() == ("out", "err")


def test_it_ends_with_the_status_before_the_container_is_removed(told: Callable[..., Told]) -> None:
    one = told()
    one.events.sendall(died(3).encode())
    assert one.run() == ExitStatus(code=3)


def test_an_end_may_be_told_right_behind_the_answer(told: Callable[..., Told]) -> None:
    assert told(died(4).encode()).run() == ExitStatus(code=4)


def test_whoever_was_killed_is_asked_about_until_it_is_removed(told: Callable[..., Told]) -> None:
    one = told()
    one.events.sendall((died(137) + line("oom")).encode())
    one.removal.sendall(REMOVED % 137)
    one.removal.close()
    assert one.run() == ExitStatus(signal=9, out_of_memory=True)


def test_a_kill_that_has_another_cause_is_a_status(told: Callable[..., Told]) -> None:
    one = told(died(137).encode())
    one.removal.sendall(REMOVED % 137)
    one.removal.close()
    assert one.run() == ExitStatus(code=137)


def test_memory_that_ran_out_is_told_whatever_the_status(told: Callable[..., Told]) -> None:
    one = told()
    one.events.sendall((died(0) + line("oom")).encode())
    assert one.run() == ExitStatus(code=0, out_of_memory=True)


@pytest.mark.parametrize(("said", "known"), [(255, 3), (255, 255)])
def test_what_the_engine_did_not_know_at_first_is_corrected(
    told: Callable[..., Told], said: int, known: int
) -> None:
    one = told()
    one.events.sendall(died(said).encode())
    one.removal.sendall(REMOVED % known)
    one.removal.close()
    assert one.run() == ExitStatus(code=known)


def test_an_end_that_was_not_told_is_seen_by_the_removal(told: Callable[..., Told]) -> None:
    one = told()
    one.removal.sendall(REMOVED % 5)
    one.removal.close()
    assert one.run() == ExitStatus(code=5)


@pytest.mark.parametrize("known", [None, 3])
def test_a_status_that_the_engine_does_not_know_is_no_status(
    told: Callable[..., Told], known: int | None
) -> None:
    one = told()
    if known is not None:
        one.events.sendall(died(known).encode())
    one.removal.sendall(b'{"Error":{"Message":"no such container"},"StatusCode":-1}')
    one.removal.close()
    if known is None:
        with pytest.raises(EngineError, match="exit status of the command: no such container"):
            one.run()
    else:
        assert one.run() == ExitStatus(code=known)


@pytest.mark.parametrize("state", [State(is_running=False, code=7), None], ids=str)
def test_an_end_that_podman_missed_is_asked_for(
    told: Callable[..., Told], monkeypatch: pytest.MonkeyPatch, state: State | None
) -> None:
    monkeypatch.setattr("hsup_driver_docker.foreground._LOOK_SECONDS", 0.01)
    monkeypatch.setattr(Engine, "is_podman", True)
    states = [State(is_running=True), state]
    monkeypatch.setattr(Handle, "state", lambda _: states.pop(0))
    one = told()
    if state is None:
        with pytest.raises(
            EngineError, match="Podman did not report the exit status of the command"
        ):
            one.run()
    else:
        assert one.run() == ExitStatus(code=7)
    assert states == []


@pytest.mark.parametrize(("number", "done"), [(15, ["ended by 15"]), (10, ["signalled 10"])])
def test_a_signal_is_passed_on_where_no_thread_may_be_had(
    told: Callable[..., Told], monkeypatch: pytest.MonkeyPatch, number: int, done: list[str]
) -> None:
    """No thread would relay the output of processes that hsup waits for."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    asked = []
    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(Handle, "end_program", lambda _, it: asked.append(f"ended by {it}"))
    monkeypatch.setattr(Handle, "signal", lambda _, it: asked.append(f"signalled {it}"))
    one = told(died(4).encode())
    assert one.run(signals=bytes([number])) == ExitStatus(code=4)
    assert asked == done


@pytest.fixture
def unignored() -> Iterator[None]:
    """Restore signals that the caller of the tests may ignore."""
    before = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGQUIT, before)


@pytest.mark.usefixtures("unignored")
@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGUSR2, signal.SIGRTMIN + 5])
def test_a_signal_to_hsup_is_the_containers(
    told: Callable[..., Told], monkeypatch: pytest.MonkeyPatch, number: signal.Signals | int
) -> None:
    passed_on: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(Handle, "signal", lambda _, it: passed_on.put(it))
    one = told(died(4).encode())
    with signals_woken() as woken:
        assert signal.getsignal(number) != signal.SIG_DFL
        os.kill(os.getpid(), number)
        assert one.run_woken(woken) == ExitStatus(code=4)
    assert passed_on.get(timeout=30) == number


def test_the_input_reaches_the_container_with_its_end(told: Callable[..., Told]) -> None:
    kept, (reading, writing) = os.dup(0), os.pipe()
    os.write(writing, b"words")
    os.close(writing)
    os.dup2(reading, 0)
    one = told()
    read = []

    def be_the_container() -> None:
        while part := one.output.recv(100):
            read.append(part)
        one.events.sendall(died(4).encode())
        one.output.sendall(OUTPUT)
        one.output.close()

    container = threading.Thread(target=be_the_container)
    container.start()
    try:
        with signals_woken() as woken:
            assert one.relay(woken) == ExitStatus(code=4)
    finally:
        container.join()
        os.dup2(kept, 0)
        for descriptor in (kept, reading):
            os.close(descriptor)
    assert b"".join(read) == b"words"


def test_whoever_still_writes_gets_sigpipe_and_others_end_where_the_disk_is_full(
    told: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    has_ended = threading.Event()
    monkeypatch.setattr(Handle, "signal", lambda _, it: asked.append(f"signalled {it}"))
    monkeypatch.setattr(
        Handle, "end_and_wait", lambda _, it: (asked.append(f"ended by {it}"), has_ended.set())
    )
    one = told(died(4).encode())
    kept, full = os.dup(1), os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 1)
    try:
        with pytest.raises(DriverError, match="cannot write the output of the dyno: No space left"):
            one.run()
    finally:
        os.dup2(kept, 1)
        for descriptor in (kept, full):
            os.close(descriptor)
        os.write(1, b"out")
    assert has_ended.wait(60)
    assert asked == ["signalled 13", "ended by 15"]


def test_an_engine_that_is_away_when_it_is_to_kill_is_an_error(
    told: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup_driver_docker.foreground._LOOK_SECONDS", 0.01)
    one = told()
    with pytest.raises(EngineUnreachable, match="cannot reach the Docker Engine"):
        one.run(signals=bytes([1, 15]))


def test_an_engine_that_goes_away_is_an_error(told: Callable[..., Told]) -> None:
    one = told()
    one.events.close()
    one.removal.close()
    with pytest.raises(EngineUnreachable, match="cannot reach the Docker Engine"):
        one.run()


def test_events_come_in_pieces_and_together() -> None:
    data = (died(1) + line("oom") + died(2)).encode()
    expected = [Event("die", "c1", 1), Event("oom", "c1", None), Event("die", "c1", 2)]
    lines = Lines(data[:10])
    found = [event for start in range(10, len(data), 7) for event in lines.feed(data[start:][:7])]
    assert found == expected
    assert Lines().feed(data) == expected
