"""A small, single-threaded process from which every dyno of an hsup is forked.

hsup itself has threads and a large memory; this has neither, and takes up no more
between two forks than it must: a page that it writes to is a copy in the dyno that
was forked before. It ends when hsup does.

A packet with two descriptors is the process_setup of a dyno to fork, see `init`; one with
more asks for a command beside its program, see `beside`; and one with none is a
command to run here, in JSON.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import socket
import sys
from collections.abc import Sequence

from hsup_driver_libcontainer.child import beside, child_setup, init, kernel, protocol, reaper
from hsup_driver_libcontainer.child.plan import SharedSetup
from hsup_driver_libcontainer.child.system_tools import RunningTool, find_tool

_MOST_BYTES = 1 << 16

#: As many descriptors come with the process_setup of a dyno.
_OF_A_DYNO = 2


def main() -> None:
    """Serve: the argument is the socket; the first packet, what all dynos have in common."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    common = SharedSetup(*json.loads(requests.recv(_MOST_BYTES)))
    init.rehearse()
    child_setup.seal()
    os.umask(0o022)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # dynos are reaped by the kernel
    reaper.await_signals()  # the terminal's ^C is for hsup to act on
    gc.collect()
    gc.freeze()
    gc.disable()
    while True:
        try:
            packet, descriptors = protocol.receive_packet(requests)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            continue  # hsup is told by the end of the channels that came with it
        if not packet:
            return
        if len(descriptors) == _OF_A_DYNO:
            channel, setup = descriptors
            try:
                init.fork(channel, setup, packet, common, requests.close)
            except OSError as error:  # such as too many processes
                with socket.socket(fileno=os.dup(setup)) as news:
                    child_setup.fail(news, error)
        elif descriptors:
            beside.fork(descriptors, packet, common)
        else:
            requests.send(json.dumps(_run(json.loads(packet))).encode())
        for descriptor in descriptors:
            os.close(descriptor)


def _run(argv: Sequence[str]) -> str:
    """Run a command in this mount namespace; return what it said if it failed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        path = find_tool(argv[0], {"PATH": "/usr/bin:/bin"}) or argv[0]
        ended = RunningTool((path, *argv[1:])).wait()
    except OSError as error:
        return error.strerror or ""
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return "" if ended.status == 0 else ended.complaint
