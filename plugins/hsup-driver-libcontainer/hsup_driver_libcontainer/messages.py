"""What hsup and the processes of a dyno say to each other while it starts and runs.

    hsup                    first process (PID 1)           builder
      (its fork)    ──────▶  namespaces            ──────▶  (its fork)
      Watch         ◀──────                        ◀──────  Joined: cgroups
      Connect       ──────────────────────────────────────▶ network
      Launch        ──────────────────────────────────────▶ mounts
      Master        ◀────────────────────────────────────── a terminal, if asked for
                                                   ◀──────  Built
      Started       ◀──────                        ◀──────  (end of file: it is the program)
      Failed        ◀──────                        ◀──────  Failed
      Signal        ──────▶  any number of them
      Execute       ──────▶  likewise
      Exited        ◀──────  the program, or one executed beside it
      (end of file) ◀─────▶  the other one is no more

Each two share a SOCK_SEQPACKET socket, the builder that of the first process and
hsup too. A packet is one message, its kind and its fields in words: numbers, and a
text as the last one. Descriptors are beside it. Nothing here takes much memory, as
the first process of every dyno would have that for itself.
"""

from __future__ import annotations

import os
import signal
import socket
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
)

#: What the program of the dyno itself is called; those beside it are numbered from 1.
OWN = 0

#: Room for the largest message, `Connect`.
_MOST_BYTES = 1 << 16
_MOST_DESCRIPTORS = 5


class Connect(NamedTuple):
    """Have a network: `network` is a `netlink_apply.NetworkPlan` in JSON."""

    network: str


class Launch(NamedTuple):
    """Become a dyno: the memory files of plan and program, and three streams, come with it."""


class Watch(NamedTuple):
    """A pidfd of the first process comes with it."""


class Joined(NamedTuple):
    """The builder is in the dyno's cgroups; a namespace with them as roots comes with it."""


class Master(NamedTuple):
    """The master of the terminal of a program comes with it."""

    program: int


class Built(NamedTuple):
    """All is as the plan has it, and the program is about to be executed.

    `has_copied_owner` tells that each file of the slug had to be given to the dyno's user.
    """

    has_copied_owner: bool
    name: str


class Started(NamedTuple):
    """The program was executed; for `has_copied_owner` see `Built`."""

    has_copied_owner: bool


class Failed(NamedTuple):
    """The dyno, or a program beside its own, could not be started."""

    program: int
    text: str


class Signal(NamedTuple):
    """Send a signal to every process; or only to a program executed beside the dyno's."""

    number: int
    program: int = OWN


class Execute(NamedTuple):
    """Execute another program: its memory file and three streams come with it."""

    program: int


class Exited(NamedTuple):
    """A program ended; `status` is as wait(2) has it.

    `is_last` tells that no process of the dyno is left.
    """

    program: int
    status: int
    is_last: bool


Message = (
    Connect
    | Launch
    | Watch
    | Joined
    | Master
    | Built
    | Started
    | Failed
    | Signal
    | Execute
    | Exited
)

_KINDS: dict[str, Any] = {one.__name__: one for one in Message.__args__}
#: The kinds whose last field is a text.
_TOLD = (Connect, Built, Failed)


class Received(NamedTuple):
    """A message, and the descriptors that came with it."""

    message: Message
    descriptors: Sequence[int]


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError where the other one is no more."""
    fields = [one if isinstance(one, str) else str(int(one)) for one in message]
    packet = " ".join((type(message).__name__, *fields))
    socket.send_fds(channel, [os.fsencode(packet)], descriptors)


def say(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message, unless the other one is no more."""
    try:
        if channel.fileno() >= 0:
            send(channel, message, descriptors)
    except (BrokenPipeError, ConnectionResetError):
        pass


def receive(channel: socket.socket) -> Received | None:
    """Return the next message, None if the other one is no more."""
    try:
        packet, descriptors, _, _ = socket.recv_fds(
            channel, _MOST_BYTES, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
    except ConnectionResetError:
        return None
    if not packet:
        return None
    return Received(_message(os.fsdecode(packet)), descriptors)


def _message(packet: str) -> Message:
    name, _, rest = packet.partition(" ")
    kind = _KINDS[name]
    numbers = len(kind._fields) - (kind in _TOLD)
    words = rest.split(" ", numbers) if rest else []
    message: Message = kind(*map(int, words[:numbers]), *words[numbers:])
    return message
