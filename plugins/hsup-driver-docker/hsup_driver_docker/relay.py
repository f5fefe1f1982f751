"""Copy the output of a container to the pipes of its dyno."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import termios
import time

from hsup.api import OutputPipes
from hsup_driver_docker.containers.position import Position, PositionFile
from hsup_driver_docker.descriptors import duplicate
from hsup_driver_docker.engine.connection import Stream, read_some
from hsup_driver_docker.engine.frames import STDERR, STDOUT, Demultiplexer

#: After a pause this long, a position can be a point of time: all that the engine has logged before
#: the middle of the pause was passed on, and nothing that it logs later.
_QUIET_SECONDS = 0.05


class Outputs:
    """The write ends of a dyno's pipes, with the position of its output."""

    def __init__(self, pipes: OutputPipes, file: PositionFile | None) -> None:
        self.file = file
        self.position = file.read() if file else Position()
        stdout, stderr = duplicate((pipes.stdout, pipes.stderr))
        self._pipes = {STDOUT: stdout, STDERR: stderr}
        self._is_line_end = dict.fromkeys(self._pipes, True)
        for pipe in self._pipes.values():
            os.set_blocking(pipe, False)

    def pipe(self, stream: int) -> int:
        """Return the descriptor of a pipe."""
        return self._pipes[stream]

    def write(self, stream: int, data: memoryview) -> memoryview:
        """Write as much as the pipe has room for; return the rest."""
        try:
            count = os.write(self._pipes[stream], data)
        except BlockingIOError:
            return data
        except BrokenPipeError:
            count = len(data)  # the pipe has no reader any more
        self._is_line_end[stream] = data[count - 1] == ord("\n")
        since, out, err, _ = self.position
        if stream == STDOUT:
            out += count
        else:
            err += count
        self.position = Position(since, out, err, time.time_ns())
        self._keep()
        return data[count:]

    def settle(self, seconds_ago: float) -> bool:
        """Make the position a point of time; return False while a pipe is not read to its end.

        An engine logs a line once it is complete, so output must end with a whole line.
        """
        if any(map(_unread, self._pipes.values())):
            return False
        if all(self._is_line_end.values()):
            now = time.time_ns()
            self.position = Position(now - int(seconds_ago * 1e9), known_at=now)
        self._keep()
        return True

    def close(self) -> None:
        """Close the pipes, and remove the position."""
        for pipe in self._pipes.values():
            os.close(pipe)
        if self.file is not None:
            self.file.remove()
            self.file = None

    def _keep(self) -> None:
        """Store the position, without what is still unread in the pipes."""
        if self.file is not None:
            out, err = (_unread(self._pipes[one]) for one in (STDOUT, STDERR))
            now = self.position
            read = now._replace(stdout=max(0, now.stdout - out), stderr=max(0, now.stderr - err))
            self.file.write(read)


class Relay:
    """Copies one stream of the engine to its end, as fast as the dyno's pipes are read.

    `skip` has the number of bytes of each output that were passed on before.
    """

    def __init__(self, stream: Stream, outputs: Outputs, skip: Position | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self._socket = stream.socket
        self._outputs = outputs
        self._frames = Demultiplexer()
        self._skip = {STDOUT: skip.stdout, STDERR: skip.stderr} if skip else {}
        self._waiting: list[tuple[int, memoryview]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._active_at = 0.0
        self._is_discarding = False
        self._socket.settimeout(0)
        self._loop.add_reader(self._socket, self._read)
        self._pass_on(stream.first)

    def discard(self) -> None:
        """Drop output that is not read: an engine does not end a container with pending output."""
        self._is_discarding = True
        if self._waiting and not self.ended.done():
            self._resume(self._waiting[0][0])

    def _read(self) -> None:
        data = read_some(self._socket)
        if data:
            self._pass_on(data)
        elif data is not None:
            self._end()

    def _pass_on(self, data: bytes) -> None:
        for stream, piece in self._frames.feed(data):
            if rest := self._unskipped(stream, piece):
                self._waiting.append((stream, rest))
        self._active_at = self._loop.time()
        self._flush()

    def _unskipped(self, stream: int, piece: memoryview) -> memoryview:
        known = min(self._skip.get(stream, 0), len(piece))
        if known:
            self._skip[stream] -= known
        return piece[known:]

    def _flush(self) -> None:
        """Write all that was read; stop reading the stream while a pipe is full."""
        while self._waiting:
            stream, piece = self._waiting[0]
            rest = self._outputs.write(stream, piece)
            if rest and not self._is_discarding:
                self._waiting[0] = (stream, rest)
                self._loop.remove_reader(self._socket)
                self._loop.add_writer(self._outputs.pipe(stream), self._resume, stream)
                return
            self._waiting.pop(0)
        if self._timer is None and self._outputs.file is not None:
            self._timer = self._loop.call_later(_QUIET_SECONDS, self._settle)

    def _resume(self, stream: int) -> None:
        self._loop.remove_writer(self._outputs.pipe(stream))
        self._loop.add_reader(self._socket, self._read)
        self._flush()

    def _settle(self) -> None:
        self._timer = None
        quiet = self._loop.time() - self._active_at
        is_settled = quiet >= _QUIET_SECONDS and self._outputs.settle(quiet / 2)
        if not is_settled and not self._waiting and not self.ended.done():
            self._timer = self._loop.call_later(_QUIET_SECONDS, self._settle)

    def _end(self) -> None:
        if self.ended.done():
            return
        self._loop.remove_reader(self._socket)
        if self._waiting:
            self._loop.remove_writer(self._outputs.pipe(self._waiting[0][0]))
        self._socket.close()
        if self._timer is not None:
            self._timer.cancel()
        self.ended.set_result(None)


def _unread(pipe: int) -> int:
    """Return the number of unread bytes in a pipe (FIONREAD, man 2 ioctl_pipe)."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))
    return int(count)
