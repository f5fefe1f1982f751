"""A small, single-threaded process from which every dyno of an hsup is forked.

hsup itself has threads and a large memory; this has neither. It is told what to
do in packets of JSON with descriptors beside them, and ends when hsup does.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence

from hsup_driver_libcontainer import init, kernel


def main() -> None:
    """Serve: the arguments are the socket, the descriptors of leases, and the stage."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    kept = [int(one) for one in sys.argv[2].split(",")]
    stage = sys.argv[3]
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # dynos are reaped by the kernel
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal's ^C is for hsup to act on
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        packet, descriptors, _, _ = socket.recv_fds(requests, 1 << 16, 8, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return
        _serve(requests, json.loads(packet), descriptors, kept, stage)


def _serve(
    requests: socket.socket,
    request: dict[str, Sequence[str]],
    descriptors: Sequence[int],
    kept: Sequence[int],
    stage: str,
) -> None:
    if argv := request.get("mount"):
        requests.send(json.dumps(_run(argv)).encode())
        return
    channel, ground_file = descriptors
    init.fork(socket.socket(fileno=channel), ground_file, kept, stage)
    os.close(ground_file)


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
