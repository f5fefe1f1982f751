"""A small, single-threaded process from which every dyno of an hsup is forked.

hsup itself has threads and a large memory; this has neither, and takes up no more
between two forks than it must: a page that it writes to is a copy in the dyno that
was forked before. It ends when hsup does.

A packet with two descriptors is the ground of a dyno to fork, see `init`; one with
more asks for a command beside its program, see `beside`; and one with none is a
command to run here, in JSON.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence

from hsup_driver_libcontainer import beside, init, kernel, messages, reaper
from hsup_driver_libcontainer.plan import Common

_MOST_BYTES = 1 << 16

#: As many descriptors come with the ground of a dyno.
_OF_A_DYNO = 2


def main() -> None:
    """Serve: the argument is the socket; the first packet, what all dynos have in common."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    common = Common(*json.loads(requests.recv(_MOST_BYTES)))
    init.rehearse()
    os.umask(0o022)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # dynos are reaped by the kernel
    reaper.await_signals()  # the terminal's ^C is for hsup to act on
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        packet, descriptors = messages.receive_packet(requests)
        if not packet:
            return
        if len(descriptors) == _OF_A_DYNO:
            channel, setup = descriptors
            init.fork(channel, setup, packet, common, requests.close)
        elif descriptors:
            beside.fork(descriptors, packet, common)
        else:
            requests.send(json.dumps(_run(json.loads(packet))).encode())
        for descriptor in descriptors:
            os.close(descriptor)


def _run(argv: Sequence[str]) -> str:
    """Run a command in this mount namespace; return what it said if it failed."""
    import subprocess  # most hsups never need it

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        ended = subprocess.run(  # noqa: S603 - what hsup asks for
            argv,
            capture_output=True,
            check=False,
            text=True,
            start_new_session=True,
            preexec_fn=reaper.take_signals,
        )
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return "" if ended.returncode == 0 else ended.stderr.strip() or f"status {ended.returncode}"
