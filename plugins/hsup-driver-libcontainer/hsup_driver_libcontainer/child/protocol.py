"""What hsup and the processes of a dyno say to each other while it starts and runs.

    hsup                    builder
      (its fork)    ──────▶  (fork of the first process)
      Watch         ◀──────  the first process
      Connect       ──────▶  network; either of the two comes first
      Launch        ──────▶  mounts
      Master        ◀──────  a terminal, if asked for
      Built         ◀──────
      Failed        ◀──────  instead
      (end of file) ◀──────  it has become the program

    hsup                    first process (PID 1), or that of a command beside the program
      Signal        ──────▶  any number of them
      Failed        ◀──────  the command could not be executed
      Exited        ◀──────  the program, or the command
      (end of file) ◀─────▶  the other one is no more

Each is a SOCK_SEQPACKET socket of its own. A packet is one message, its kind and its
fields in words: numbers, and a text as the last one. Descriptors are beside it.
Nothing here takes much memory, as the first process of every dyno would have that
for itself.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

#: Signals that are meant for the dyno, whoever of hsup's processes gets them.
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
#: Room for as many descriptors as come with one message: those for a command, see `beside`.
_ROOM_BESIDE = socket.CMSG_SPACE(6 * 4)
_CLOSE_ON_EXEC = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_CTRUNC)


class Connect(NamedTuple):
    """Have a network: `network` is a `netlink_apply.NetworkPlan` in JSON.

    A socket to the host's network namespace comes with it.
    """

    network: str


class Launch(NamedTuple):
    """Become a dyno: the memory files of plan and program, and three streams, come with it."""


class Watch(NamedTuple):
    """A pidfd of the first process comes with it."""


class Master(NamedTuple):
    """The master of the program's terminal comes with it."""


class Built(NamedTuple):
    """All is as the plan has it, and the program is about to be executed.

    `has_copied_owner` tells that each file of the slug had to be given to the dyno's user.
    """

    has_copied_owner: bool


class Failed(NamedTuple):
    """The dyno, or a command beside its program, could not be started."""

    text: str


class Signal(NamedTuple):
    """Send a signal to every process of the dyno; or to the command beside its program."""

    number: int


class Exited(NamedTuple):
    """The program, or the command, ended; `status` is as wait(2) has it.

    `is_last` tells that no process of the dyno is left.
    """

    status: int
    is_last: bool


Message = Connect | Launch | Watch | Master | Built | Failed | Signal | Exited

_KINDS: dict[str, Any] = {one.__name__: one for one in Message.__args__}
#: The kinds whose last field is a text.
_TOLD = (Connect, Failed)


class Received(NamedTuple):
    """A message, and the descriptors that came with it."""

    message: Message
    descriptors: Sequence[int]


class Channels(NamedTuple):
    """hsup's ends of the channels to a dyno: to its first process, and to the builder.

    `held` is what /proc calls the other end of the first one, which both have.
    """

    first: socket.socket
    setup: socket.socket
    held: str


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError where the other one is no more."""
    rights = struct.pack(f"{len(descriptors)}i", *descriptors)
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if descriptors else []
    channel.sendmsg([packet(message)], beside)


def say(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message, unless the other one is no more."""
    try:
        if channel.fileno() >= 0:
            send(channel, message, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        pass


def receive(channel: socket.socket) -> Received | None:
    """Return the next message, None if the other one is no more.

    That it ended without having read everything is told once, before its last words.
    """
    try:
        received, descriptors = receive_packet(channel)
    except ConnectionResetError:
        received, descriptors = receive_packet(channel)
    return Received(message(received), descriptors) if received else None


def receive_packet(channel: socket.socket) -> tuple[bytes, Sequence[int]]:
    """Return a packet, empty if the other one is no more, and the descriptors beside it.

    Raises OSError where no more files may be open: the kernel then drops descriptors.
    socket.recv_fds would take 200 KiB in every dyno.
    """
    received, beside, flags, _ = channel.recvmsg(_MOST_BYTES, _ROOM_BESIDE, _CLOSE_ON_EXEC)
    descriptors: Sequence[int] = ()
    for _, _, rights in beside:
        descriptors = struct.unpack(f"{len(rights) // 4}i", rights)
    if flags & _TRUNCATED:
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return received, descriptors


def packet(message: Message) -> bytes:
    """Return a message as it is sent."""
    fields = [one if isinstance(one, str) else str(int(one)) for one in message]
    return os.fsencode(" ".join((type(message).__name__, *fields)))


def message(packet: bytes) -> Message:
    """Return what `packet` was made of."""
    name, _, rest = os.fsdecode(packet).partition(" ")
    kind = _KINDS[name]
    numbers = len(kind._fields) - (kind in _TOLD)
    words = rest.split(" ", numbers) if kind._fields else []
    read: Message = kind(*map(int, words[:numbers]), *words[numbers:])
    return read
