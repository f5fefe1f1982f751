"""One container of hsup's on its engine, with all that is done to it; everything blocks."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from hsup.errors import DynoStartError
from hsup.model import Address, DynoSpec
from hsup_driver_docker import inside
from hsup_driver_docker.connection import EngineAway, EngineError, Stream
from hsup_driver_docker.engine import NOT_EXECUTABLE, NOT_FOUND, Engine, State
from hsup_driver_docker.frames import Demultiplexer
from hsup_driver_docker.image import Image
from hsup_driver_docker.position import Position

_NOT_FOUND = 127
_READ_BYTES = 1 << 12
#: For a shell to start, on a busy machine.
_TOLD_SECONDS = 30.0
#: For an init to begin the program, on a machine that is busier still.
_BEGIN_SECONDS = 10.0
_LOOK_SECONDS = 0.02


class ImageGone(DynoStartError):
    """Somebody has removed the image of a dyno."""


class Launched(NamedTuple):
    """A container that runs, its output, and where its port is published.

    `owner` is whose label it has. `skip` is where the one that was passed on before ends,
    in what the stream gives.
    """

    handle: Handle
    stream: Stream
    owner: str
    address: Address | None = None
    skip: Position | None = None


class AttachedRun(NamedTuple):
    """A container that runs, its output, what happens to it, and what ends when it is no more."""

    handle: Handle
    stream: Stream
    events: Stream
    removal: Stream

    def close(self) -> None:
        """Hear no more of it."""
        for one in (self.stream, self.events, self.removal):
            one.socket.close()


class Handle(NamedTuple):
    """A container: what it runs, and the engine that it is on."""

    engine: Engine
    id: str
    name: str
    spec: DynoSpec
    image: Image

    def start(self) -> None:
        """Execute the program. Raises DynoStartError."""
        try:
            self.engine.start(self.id)
        except EngineError as error:
            raise start_error(error) from error

    def state(self) -> State | None:
        """Return how it is, None if it is no more."""
        try:
            return self.engine.state(self.id)
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
            return None

    def wait(self, patience_seconds: float) -> State | None:
        """Return how it ended, or is after a while; None if somebody else has removed it."""
        try:
            self.engine.wait(self.id, patience_seconds)
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
        return self.state()

    def signal(self, number: int) -> None:
        """Send a signal to every process, to its program alone where it has no shell."""
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
        """Send every process a signal that ends it; what is returned waits for them.

        Until then its init is stopped, which would end all others with the program.
        """
        if not self.engine.kill(self.id, signal.SIGSTOP):
            return _do_nothing
        try:
            _, stream = self.engine.execute(self.id, inside.end_all(number))
        except EngineError:  # no more processes may be had
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
        """Send the signal to the program alone: nothing is left to wait for."""
        self.resume()
        self._signal_program(number)
        return _do_nothing

    def resume(self) -> None:
        """Have the init of a container go on that was stopped while its processes ended."""
        self.engine.kill(self.id, signal.SIGCONT)

    def end_and_wait(self, number: int) -> None:
        """Return when a signal that ends processes has ended all of them."""
        self.end(number)()

    def _signal_program(self, number: int) -> None:
        """Have the init pass a signal on, which it does as soon as it has begun the program."""
        deadline = time.monotonic() + _BEGIN_SECONDS
        while self.engine.count(self.id) == 1 and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        self.engine.kill(self.id, number)

    def kill(self) -> bool:
        """End every process at once; tell whether there was one."""
        with self._told_if_left():
            return self.engine.kill(self.id, signal.SIGKILL)

    def remove(self) -> None:
        """Return when nothing is left of it."""
        with self._told_if_left():
            self.engine.remove(self.id)

    @contextmanager
    def _told_if_left(self) -> Iterator[None]:
        """Have the error for an engine that is away tell of this container."""
        try:
            yield
        except EngineAway as error:
            text = f"{error.args[0]}, container {self.name} is left behind"
            raise EngineAway(text, hint="start hsup again to remove it") from error


def start_error(error: EngineError) -> DynoStartError:
    """Return the error for a program that the engine did not execute."""
    text = str(error)
    if error.status == NOT_FOUND and "no such image" in text.lower():
        return ImageGone(f"cannot start the dyno: {text}")
    code = 1
    if "executable file not found" in text or "no such file or directory" in text:
        code = _NOT_FOUND
    elif "permission denied" in text:
        code = NOT_EXECUTABLE
    hint = error.hint
    if "no command specified" in text.lower():
        hint = "give the process type a command, or set one in the image (CMD)"
    return DynoStartError(f"cannot start the dyno: {text}", hint=hint, exit_code=code)


def has_signalled(stream: Stream) -> bool:
    """Tell whether a script says that it has signalled; an engine tells an error in its place."""
    stream.socket.settimeout(_TOLD_SECONDS)
    said = stream.first
    frames = Demultiplexer()
    try:
        while said or (said := stream.socket.recv(_READ_BYTES)):
            for _, piece in frames.feed(said):
                return bytes(piece).startswith(inside.TOLD)
            said = b""
    except OSError:
        pass  # the engine went away, and whoever waits for the dyno sees it
    return False


def _read_to_end(stream: Stream) -> None:
    try:
        while stream.socket.recv(_READ_BYTES):
            pass
    except OSError:
        pass  # the engine went away, and whoever waits for the dyno sees it


def _do_nothing() -> None:
    """Wait for nothing: there is nobody to wait for."""
