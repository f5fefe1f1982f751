"""What hsup and the first process of a dyno say to each other.

    hsup                              first process (PID 1)
      ground                 ──────▶  namespaces, cgroups
      Connect(network)       ──────▶  network
      Launch (plan, …)       ──────▶  mounts, program
      Watch (a pidfd)        ◀──────
      Terminal (a pty)       ◀──────  if the plan asks for one
      Started | Failed       ◀──────  the program was executed, or not
      Signal, Execute        ──────▶  any number of them
      Exited                 ◀──────  the program, or one executed beside it
      (end of file)          ◀─────▶  the other one is no more

They share a SOCK_SEQPACKET socket: a packet is one message, `[kind, fields…]`
in JSON, with descriptors beside it.
"""

from __future__ import annotations

import json
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

#: Room for the largest message, `Connect`.
_MOST_BYTES = 1 << 16
_MOST_DESCRIPTORS = 5


class Connect(NamedTuple):
    """Have a network: `network` is a `netlink_apply.NetworkPlan`."""

    network: Sequence[Any]


class Launch(NamedTuple):
    """Become a dyno: the memory files of plan and program, and three streams, come with it."""


class Watch(NamedTuple):
    """A pidfd of the first process comes with it."""


class Master(NamedTuple):
    """The master of the terminal of a program comes with it; 0 is the dyno's own."""

    program: int


class Started(NamedTuple):
    """The program was executed.

    `has_copied_owner` tells that each file of the slug had to be given to the dyno's user.
    """

    has_copied_owner: bool


class Failed(NamedTuple):
    """The dyno, or a program beside its own, could not be started."""

    program: int
    text: str


class Signal(NamedTuple):
    """Send a signal to every process; or only to a program executed beside the dyno's."""

    number: int
    program: int = 0


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


Message = Connect | Launch | Watch | Master | Started | Failed | Signal | Execute | Exited

_KINDS = {
    one.__name__: one
    for one in (Connect, Launch, Watch, Master, Started, Failed, Signal, Execute, Exited)
}


class Received(NamedTuple):
    """A message, and the descriptors that came with it."""

    message: Message
    descriptors: Sequence[int]


def pair() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message. Raises OSError where the other one is no more."""
    packet = json.dumps([type(message).__name__, *message]).encode()
    socket.send_fds(channel, [packet], descriptors)


def say(channel: socket.socket, message: Message, descriptors: Sequence[int] = ()) -> None:
    """Send a message, unless the other one is no more."""
    try:
        send(channel, message, descriptors)
    except OSError:
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
    kind, *fields = json.loads(packet)
    return Received(_KINDS[kind](*fields), descriptors)
