"""A small, single-threaded process from which every dyno of an hsup is forked.

hsup itself has threads and a large memory; this has neither. It is told what to
do in packets of JSON with descriptors beside them, and ends when hsup does.
"""

from __future__ import annotations

import gc
import json
import signal
import socket
import sys
from collections.abc import Sequence

from hsup_driver_libcontainer import init, kernel
from hsup_driver_libcontainer.plan import Common, Ground


_MOST_BYTES = 1 << 16


def main() -> None:
    """Serve: the argument is the socket; the first packet, what all dynos have in common."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    common = Common(*json.loads(requests.recv(_MOST_BYTES)))
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # dynos are reaped by the kernel
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal's ^C is for hsup to act on
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        packet, descriptors, _, _ = socket.recv_fds(requests, _MOST_BYTES, 8, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return
        request = json.loads(packet)
        if "mount" in request:
            requests.send(json.dumps(_run(request["mount"])).encode())
        else:
            (channel,) = descriptors
            init.fork(socket.socket(fileno=channel), Ground(**request), common)


def _run(argv: Sequence[str]) -> str:
    """Run a command in this mount namespace; return what it said if it failed."""
    import subprocess  # most hsups never need it

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        ended = subprocess.run(  # noqa: S603 - what hsup asks for
            argv, capture_output=True, check=False, text=True
        )
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return "" if ended.returncode == 0 else ended.stderr.strip() or f"status {ended.returncode}"
