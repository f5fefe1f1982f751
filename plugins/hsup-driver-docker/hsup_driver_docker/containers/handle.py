"""One container of hsup, and all that hsup does to it; all methods block."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hsup.api import Measurement
from hsup.errors import DynoStartError
from hsup.model import Address, DynoSpec
from hsup_driver_docker.containers import inside
from hsup_driver_docker.containers.position import Position
from hsup_driver_docker.engine.client import CONFLICT, NOT_EXECUTABLE, NOT_FOUND, Engine, State
from hsup_driver_docker.engine.connection import EngineError, EngineUnreachable, Stream
from hsup_driver_docker.engine.frames import Demultiplexer
from hsup_driver_docker.images.image import Image

_NOT_FOUND = 127
_READ_BYTES = 1 << 12
#: How long a shell takes to start on a busy machine, at most.
_TOLD_SECONDS = 30.0
#: How long an init takes to start the program on a busy machine, at most.
_BEGIN_SECONDS = 10.0
_LOOK_SECONDS = 0.02


class ImageGone(DynoStartError):
    """The image of a dyno was removed."""


class Launched(NamedTuple):
    """A running container, the stream of its output, and the address of its port.

    `owner` is the owner in its label. `skip` is the position up to which a previous hsup has
    passed its output on.
    """

    handle: Handle
    stream: Stream
    owner: str
    address: Address | None = None
    skip: Position | None = None


class AttachedRun(NamedTuple):
    """A running container, with the streams of its output, its events and its removal."""

    handle: Handle
    stream: Stream
    events: Stream
    removal: Stream

    def close(self) -> None:
        """Close the streams."""
        for stream in (self.stream, self.events, self.removal):
            stream.socket.close()


class Handle(NamedTuple):
    """A container on its engine, with its spec and its image."""

    engine: Engine
    id: str
    name: str
    spec: DynoSpec
    image: Image

    def start(self) -> None:
        """Start the program. Raises DynoStartError."""
        try:
            self.engine.start(self.id)
        except EngineError as error:
            raise start_error(error) from error

    def state(self) -> State | None:
        """Return the state of the container, None if it is removed."""
        try:
            return self.engine.state(self.id)
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def measured(self) -> Measurement | None:
        """Return what it uses, None if it does not run."""
        from hsup_driver_docker.engine.stats import measurement  # rarely needed

        try:
            stats = self.engine.stats(self.id)
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise
            return None
        return measurement(stats, self.engine.thread_states(self.id))

    def wait(self, patience_seconds: float) -> State | None:
        """Wait until it ends or the timeout expires; return its state, None if it is removed."""
        try:
            self.engine.wait(self.id, patience_seconds)
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
        return self.state()

    def signal(self, number: int) -> None:
        """Send a signal to every process; only to the program if the image has no shell."""
        try:
            _, stream = self.engine.execute(self.id, inside.signal_all(number))
        except EngineError:
            self._signal_program(number)
            return
        with stream.socket:
            has_told = has_signalled(stream)
        if not has_told:
            self._signal_program(number)

    def end(self, number: int) -> Callable[[], None]:
        """Send every process a signal that ends it; return a function that waits for them.

        Until then the init is stopped, as it would kill all others once the program ends.
        """
        if not self.engine.kill(self.id, signal.SIGSTOP):
            return _do_nothing
        try:
            _, stream = self.engine.execute(self.id, inside.end_all(number))
        except EngineError:  # the process limit is reached, for example
            return self.end_program(number)
        if not has_signalled(stream):
            stream.socket.close()
            return self.end_program(number)

        def finish() -> None:
            with stream.socket:
                stream.socket.settimeout(None)
                _read_to_end(stream)
            self.resume()

        return finish

    def end_program(self, number: int) -> Callable[[], None]:
        """Send a signal to the program alone; return a function that waits for nothing."""
        self.resume()
        self._signal_program(number)
        return _do_nothing

    def resume(self) -> None:
        """Resume the init, which was stopped while the other processes ended."""
        self.engine.kill(self.id, signal.SIGCONT)

    def end_and_wait(self, number: int) -> None:
        """Send every process a signal that ends it, and wait for all of them."""
        self.end(number)()

    def _signal_program(self, number: int) -> None:
        """Send a signal to the init, which passes it on once it has started the program."""
        deadline = time.monotonic() + _BEGIN_SECONDS
        while self.engine.count(self.id) == 1 and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self.engine.kill(self.id, number)

    def kill(self) -> bool:
        """End every process at once; tell whether there was one."""
        with self._leftover_named():
            return self.engine.kill(self.id, signal.SIGKILL)

    def remove(self) -> None:
        """Remove the container, and wait until it is removed."""
        with self._leftover_named():
            self.engine.remove(self.id)

    @contextmanager
    def _leftover_named(self) -> Iterator[None]:
        """Add the name of this container to an error for an engine that cannot be reached."""
        try:
            yield
        except EngineUnreachable as error:
            text = f"{error.args[0]}; container {self.name} is left behind"
            raise EngineUnreachable(text, hint="start hsup again to remove it") from error


def start_error(error: EngineError, doing: str = "start the dyno") -> DynoStartError:
    """Return the error for a program that the engine did not execute."""
    text = error.args[0]
    if error.status == NOT_FOUND and "no such image" in text.lower():
        return ImageGone(f"cannot {doing}: {text}")
    code = 1
    if "executable file not found" in text or "no such file or directory" in text:
        code = _NOT_FOUND
    elif "permission denied" in text:
        code = NOT_EXECUTABLE
    hint = error.hint
    if "no command specified" in text.lower():
        hint = "give the process type a command, or set one in the image (CMD)"
    return DynoStartError(f"cannot {doing}: {text}", hint=hint, exit_code=code)


def has_signalled(stream: Stream) -> bool:
    """Tell whether a script reports that it has signalled; an engine writes its error instead."""
    stream.socket.settimeout(_TOLD_SECONDS)
    received = stream.first
    frames = Demultiplexer()
    try:
        while received or (received := stream.socket.recv(_READ_BYTES)):
            for _, piece in frames.feed(received):
                return bytes(piece).startswith(inside.TOLD)
            received = b""
    except OSError:
        pass  # the waiter for the dyno gets the error
    return False


def _read_to_end(stream: Stream) -> None:
    try:
        while stream.socket.recv(_READ_BYTES):
            pass
    except OSError:
        pass  # the waiter for the dyno gets the error


def _do_nothing() -> None:
    """Wait for nothing, as `end_program` cannot wait."""
