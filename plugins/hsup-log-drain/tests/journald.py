"""The journal's own daemon as an ordinary process, and a receiver of its protocol."""

from __future__ import annotations

import array
import json
import mmap
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

JOURNALD = "/lib/systemd/systemd-journald"

#: Runs the daemon in a mount namespace, where all of /run is its own.
_SCRIPT = """
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
cat >/run/journald.conf <<END
[Journal]
Storage=volatile
ForwardToSyslog=no
RateLimitIntervalSec=0
ReadKMsg=no
Audit=no
END
mkdir -p /etc/systemd
[ -e /etc/systemd/journald.conf ] && mount --bind /run/journald.conf /etc/systemd/journald.conf
exec "$0"
"""


class Journal(NamedTuple):
    """A running daemon, by the id of its process."""

    pid: int

    @property
    def socket(self) -> str:
        return f"/proc/{self.pid}/root/run/systemd/journal/socket"

    def entries(self, *matches: str) -> list[dict[str, object]]:
        self._run("journalctl", "--sync")
        printed = self._run("journalctl", "--quiet", "--all", "--output=json", *matches)
        return [json.loads(line) for line in printed.splitlines()]

    def _run(self, *command: str) -> bytes:
        enter = ["nsenter", "--target", str(self.pid), "--mount"]
        return subprocess.check_output([*enter, *command])


@contextmanager
def running_journal() -> Iterator[Journal]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(f"\0hsup-test-{os.getpid()}-{os.urandom(4).hex()}")
        notified.settimeout(60)
        environ = {
            **os.environ,
            "NOTIFY_SOCKET": notified.getsockname().decode().replace("\0", "@"),
        }
        command = ["unshare", "--mount", "sh", "-c", _SCRIPT, JOURNALD]
        with subprocess.Popen(command, env=environ) as daemon:
            try:
                while b"READY=1" not in notified.recv(4096):
                    pass
                yield Journal(daemon.pid)
            finally:
                daemon.kill()


class Receiver:
    """A socket of the journal's protocol, which keeps what it gets until it is read."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(path)

    def close(self) -> None:
        self._socket.close()

    def entries(self) -> Iterator[dict[str, list[bytes]]]:
        """Yield what has arrived; raise ValueError for what is not of the protocol."""
        while True:
            try:
                data, ancillary, *_ = self._socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
            except BlockingIOError:
                return
            if not ancillary:
                yield parsed(data)
                continue
            if data or len(ancillary) != 1:
                raise ValueError(data)
            (descriptor,) = array.array("i", ancillary[0][2])
            with (
                open(descriptor, "rb") as file,
                mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as m,
            ):
                yield parsed(bytes(m))


def parsed(data: bytes) -> dict[str, list[bytes]]:
    """Return the fields of an entry. Raises ValueError."""
    fields: dict[str, list[bytes]] = {}
    while data:
        line, newline, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not newline:
            raise ValueError(data)
        if not equals:
            length = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            if len(value) != length or not rest.startswith(b"\n"):
                raise ValueError(data)
            rest = rest[1:]
        text = name.decode("ascii")
        if not (text.replace("_", "").isalnum() and text.isupper() and not text.startswith("_")):
            raise ValueError(name)
        fields.setdefault(text, []).append(value)
        data = rest
    return fields
