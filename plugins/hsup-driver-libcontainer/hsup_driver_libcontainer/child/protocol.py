"""The messages between hsup and the processes of a dyno.

    hsup                    builder
      (its fork)    ──────▶  (fork of the first process)
      Watch         ◀──────  the first process
      Connect       ──────▶  network; either of the two comes first
      Launch        ──────▶  mounts
      Master        ◀──────  a terminal, if asked for
      Built         ◀──────
      Failed        ◀──────  instead
      (end of file) ◀──────  it has become the program

    hsup                    first process (PID 1), or the parent of an exec'd command
      Signal        ──────▶  any number of them
      Failed        ◀──────  the command could not be executed
      Exited        ◀──────  the program, or the command
      (end of file) ◀─────▶  the other side has ended

Each is a SOCK_SEQPACKET socket of its own. A packet is one message: its kind and its
fields as words, of which all are numbers but the last, which may be a text. Descriptors
are sent along with it. Nothing here takes much memory, as the first process of every
dyno has its own copy.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

#: Signals that are meant for the dyno, whichever of hsup's processes receives them.
FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    *range(signal.SIGRTMIN, signal.SIGRTMAX + 1),
)

#: Room for the largest message, `Connect`.
_MOST_BYTES = 1 << 16
#: Room for the most descriptors of one packet: those of an exec'd command, see `ancillary`.
_ROOM_BESIDE = socket.CMSG_SPACE(6 * 4)
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_CTRUNC)


class Connect(NamedTuple):
    """Make a network: `network` is a `netlink_apply.NetworkPlan` in JSON.

    A netlink socket of the host's network namespace comes with it.
    """

    network: str


class Launch(NamedTuple):
    """Become a dyno: the memory files of its plan and program, and three streams, come with it."""


class Watch(NamedTuple):
    """A pidfd of the first process comes with it."""


class Master(NamedTuple):
    """The master of the program's terminal comes with it."""


class Built(NamedTuple):
    """The plan was carried out, and the program is about to be executed.

    `has_copied_owner` tells that each file of the slug had to be given to the dyno's user.
    """

    has_copied_owner: bool


class Failed(NamedTuple):
    """The dyno, or an exec'd command, could not be started."""

    text: str


class Signal(NamedTuple):
    """Send a signal to every process of the dyno, or to the exec'd command."""

    number: int


class Exited(NamedTuple):
    """The program, or the command, ended; `status` is the one of wait(2).

    `is_last` tells that no process but the sender is left.
    """

    status: int
    is_last: bool


Message = Connect | Launch | Watch | Master | Built | Failed | Signal | Exited

_KINDS: dict[str, Any] = {kind.__name__: kind for kind in Message.__args__}
#: The kinds whose last field is a text.
_TOLD = (Connect, Failed)


class Received(NamedTuple):
    """A message, and the descriptors that came with it."""

    message: Message
    descriptors: Sequence[int]


class Channels(NamedTuple):
    """hsup's ends of the channels to a dyno: to its first process, and to the builder.

    `held` is what /proc calls the other end of the first one: the process that holds it is
    the first process, or becomes it.
    """

    first: socket.socket
    setup: socket.socket
    held: str


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError if the other side has ended."""
    rights = struct.pack(f"{len(descriptors)}i", *descriptors)
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
    channel.sendmsg([packet(message)], ancillary)


def say(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message; do nothing if the other side has ended."""
    try:
        if channel.fileno() >= 0:
            send(channel, message, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        pass


def receive(channel: socket.socket) -> Received | None:
    """Return the next message, None if the other side has ended.

    If it ended without having read everything, the kernel raises ConnectionResetError once,
    before the messages that it had sent.
    """
    try:
        received, descriptors = receive_packet(channel)
    except ConnectionResetError:
        received, descriptors = receive_packet(channel)
    return Received(message(received), descriptors) if received else None


def receive_packet(channel: socket.socket) -> tuple[bytes, Sequence[int]]:
    """Return a packet and its descriptors; the packet is empty if the other side has ended.

    Raises OSError if too many files are open: the kernel then drops descriptors.
    socket.recv_fds would take 200 KiB in every dyno.
    """
    received, ancillary, flags, _ = channel.recvmsg(_MOST_BYTES, _ROOM_BESIDE, _CLOSE_ON_EXEC)
    descriptors: Sequence[int] = ()
    for _, _, rights in ancillary:
        descriptors = struct.unpack(f"{len(rights) // 4}i", rights)
    if flags & _TRUNCATED:
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return received, descriptors


def packet(message: Message) -> bytes:
    """Encode a message."""
    fields = [field if isinstance(field, str) else str(int(field)) for field in message]
    return os.fsencode(" ".join((type(message).__name__, *fields)))


def message(packet: bytes) -> Message:
    """Decode a message."""
    name, _, rest = os.fsdecode(packet).partition(" ")
    kind = _KINDS[name]
    numbers = len(kind._fields) - (kind in _TOLD)
    words = rest.split(" ", numbers) if kind._fields else []
    read: Message = kind(*map(int, words[:numbers]), *words[numbers:])
    return read
