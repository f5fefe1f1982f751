"""Start the zygote, and send it requests for dynos."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

from hsup.errors import DriverError
from hsup_driver_libcontainer.child.kernel import is_ready
from hsup_driver_libcontainer.child.plan import ProcessSetup, SharedSetup
from hsup_driver_libcontainer.child.processes import is_stopped

#: The program of the process, for `python -c`.
MAIN = "import sys; sys.path[:0] = {path!r}; import {package}.child.zygote as z; z.main()"

#: prctl.set_proctitle crashes if there is no variable. LD_BIND_NOW resolves C functions here,
#: once, and not at the first call in each dyno, which would take memory there.
_ENVIRONMENT = {"LANG": "C.UTF-8", "LD_BIND_NOW": "1"}

#: How long it may take to end, to fork a dyno, and to mount an image or to make room for
#: a request; and how often to look whether it was stopped by a signal meanwhile.
_ENDING_SECONDS = 5.0
_FORKING_SECONDS = 30.0
_PATIENCE_SECONDS = 60.0
_LOOK_MS = 500


class Zygote:
    """The process that dynos are forked from; it is restarted if it stops serving.

    `null` is a descriptor of /dev/null, which dynos get as their input.
    """

    def __init__(self, shared_setup: SharedSetup) -> None:
        self._shared_setup = shared_setup
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._mounted: list[tuple[str, ...]] = []
        self._turn = threading.Lock()  # releases are built in threads
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def prepare(self) -> None:
        """Start the zygote unless it is running, which takes more descriptors than a dyno."""
        with self._turn:
            self._connection()

    def fork(self, process_setup: ProcessSetup, descriptors: Sequence[int]) -> None:
        """Fork the first process of a dyno, or a process for an exec'd command.

        `descriptors` are those of `init.fork` or `exec_command.fork`. Raises DriverError.
        """
        with self._turn:
            self._request(process_setup.packet(), descriptors)

    def mount(self, argv: Sequence[str]) -> None:
        """Run a mount command in the mount namespace of the dynos. Raises DriverError."""
        with self._turn:
            self._request(json.dumps(argv).encode())
            self._check_mounted()
            self._mounted.append(tuple(argv))

    def end_stuck(self, waited_seconds: float) -> None:
        """End the zygote if it was stopped by a signal, or has not answered for too long.

        The channels of dynos that it has not forked yet end with it. The next request
        starts another one.
        """
        if self._turn.acquire(blocking=False):  # otherwise another thread waits for it, and looks
            try:
                if waited_seconds >= _FORKING_SECONDS or self._is_stopped():
                    self._hang_up(patience=0.0)
            finally:
                self._turn.release()

    def close(self) -> None:
        """End the zygote, and with it its mounts."""
        os.close(self.null)
        self._hang_up()

    def _request(self, packet: bytes, descriptors: Sequence[int] = ()) -> None:
        if self._is_stopped():
            self._hang_up()
        try:
            self._send(packet, descriptors)
        except (BrokenPipeError, ConnectionResetError):  # it was killed, or is stuck
            self._hang_up(patience=0.0)
            self._send(packet, descriptors)

    def _send(self, packet: bytes, descriptors: Sequence[int]) -> None:
        connection = self._connection()
        self._await(connection, select.POLLOUT)
        socket.send_fds(connection, [packet], descriptors)

    def _is_stopped(self) -> bool:
        return self._process is not None and is_stopped(self._process.pid)

    def _await(self, connection: socket.socket, event: int) -> None:
        """Wait until it can be read or written. Raises BrokenPipeError if the zygote is stuck."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not is_ready(connection.fileno(), _LOOK_MS, event):
            if self._is_stopped() or time.monotonic() > deadline:
                self._hang_up(patience=0.0)
                raise BrokenPipeError

    def _hang_up(self, patience: float = _ENDING_SECONDS) -> None:
        """End the zygote, at once if it was stopped; its work may take `patience` seconds more."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            try:
                self._process.wait(0.0 if self._is_stopped() else patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._socket = self._process = None

    def _check_mounted(self) -> None:
        connection = self._connection()
        try:
            self._await(connection, select.POLLIN)
            answer = json.loads(connection.recv(1 << 16) or b'"hsup\'s helper process ended"')
        except (BrokenPipeError, ConnectionResetError):
            answer = (
                "hsup's helper process was stopped, "
                f"or did not answer within {_PATIENCE_SECONDS:g} s"
            )
        if answer:
            raise DriverError(f"cannot mount a stack image: {answer}")

    def _connection(self) -> socket.socket:
        if self._socket is None:
            self._socket = self._spawn()
            self._socket.send(json.dumps(self._shared_setup).encode())
            for argv in self._mounted:
                socket.send_fds(self._socket, [json.dumps(argv).encode()], ())
                self._check_mounted()
        return self._socket

    def _spawn(self) -> socket.socket:
        """Start it without hsup's environment variables, with only the packages that it needs."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        package = __name__.rpartition(".")[0]
        code = MAIN.format(path=_import_path(), package=package)
        argv = (sys.executable, "-ISB", "-c", code, str(theirs.fileno()))
        with ExitStack() as undo, theirs:
            undo.enter_context(ours)
            self._process = subprocess.Popen(  # noqa: S603 - this Python, and code of ours
                argv,
                env=_ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *self._shared_setup.kept),
            )
            undo.pop_all()
        return ours


def _import_path() -> list[str]:
    """Return the directories of this package and of prctl, the extension that it uses."""
    from importlib.util import find_spec

    spec = find_spec("prctl")
    assert spec is not None
    assert spec.origin is not None
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return list(dict.fromkeys((here, os.path.dirname(spec.origin))))
