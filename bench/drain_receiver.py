"""Take the frames of a log drain over HTTP as quickly as Python can, and count them at the end.

It prints its port first. When its input ends, which is the line to look for, it prints a JSON
object: `lines` is how many frames have that line, `seconds` how long they took from the first
request to the last, and `others` are the other messages of dynos, each with the time of its arrival
in nanoseconds.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
_HEADERS_END = b"\r\n\r\n"
_READ_BYTES = 1 << 18
#: A frame is the time, host, application, process and message id, and then the message.
_FIELDS = 6
_LONGEST_NUMBER = 8


class Receiver:
    """Keeps the bodies of all requests, with the times of their arrival."""

    def __init__(self) -> None:
        self.bodies: list[tuple[int, bytes]] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = bytearray()
        while (end := _received(connection, buffer, _HEADERS_END)) is not None:
            found = _LENGTH.search(buffer, 0, end + 2)
            assert found is not None
            start = end + len(_HEADERS_END)
            whole = start + int(found[1])
            while len(buffer) < whole:
                if not (data := connection.recv(_READ_BYTES)):
                    return
                buffer += data
            self.bodies.append((time.time_ns(), bytes(memoryview(buffer)[start:whole])))
            connection.sendall(_ANSWER)
            del buffer[:whole]


def _received(connection: socket.socket, buffer: bytearray, what: bytes) -> int | None:
    """Read until there is something; return where it begins, None at the end."""
    while (found := buffer.find(what)) < 0:
        if not (data := connection.recv(_READ_BYTES)):
            return None
        buffer += data
    return found


def messages(body: bytes) -> list[bytes]:
    """Return the messages of dynos in frames. Raises ValueError for what is no frame."""
    found, at = [], 0
    while at < len(body):
        blank = body.index(b" ", at, at + _LONGEST_NUMBER)
        at, start = blank + 1 + int(body[at:blank]), blank + 1
        _, _, _, app, _, _, message = body[start:at].split(b" ", _FIELDS)
        if app == b"app":
            found.append(message)
    return found


def main() -> None:
    receiver = Receiver()
    print(receiver.port, flush=True)
    line = sys.stdin.buffer.read()
    lines, others = 0, []
    for arrived, body in receiver.bodies:
        for message in messages(body):
            if message == line:
                lines += 1
            else:
                others.append((arrived, message.decode()))
    times = [arrived for arrived, _ in receiver.bodies]
    seconds = (times[-1] - times[0]) / 1e9 if times else 0.0
    print(json.dumps({"lines": lines, "seconds": seconds, "others": others}), flush=True)


if __name__ == "__main__":
    main()
