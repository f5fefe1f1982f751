"""A small, single-threaded process from which every dyno of an hsup is forked.

hsup itself has threads and a large memory; the zygote has neither, and writes to as little
memory as possible: a page that it writes to is no longer shared with the dynos that it has
forked. It ends when hsup does.

A packet with two descriptors is the `ProcessSetup` of a dyno to fork, see `init`; one with
more descriptors execs a command in a dyno, see `exec_command`; and one without descriptors is a
command to run in the zygote's mount namespace, in JSON.
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
from contextlib import suppress
from functools import partial

from hsup_driver_libcontainer.child import child_setup, exec_command, init, kernel, protocol, reaper
from hsup_driver_libcontainer.child.plan import SharedSetup
from hsup_driver_libcontainer.child.system_tools import RunningTool, find_tool

_MOST_BYTES = 1 << 16

#: The number of descriptors that come with the `ProcessSetup` of a dyno.
_OF_A_DYNO = 2


def main() -> None:
    """Serve requests; the argument is the socket, the first packet the `SharedSetup`."""
    requests = socket.socket(fileno=int(sys.argv[1]))
    shared_setup = SharedSetup(*json.loads(requests.recv(_MOST_BYTES)))
    init.rehearse()
    child_setup.seal()
    os.umask(0o022)
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # dynos are reaped by the kernel
    reaper.await_signals()  # ^C is for hsup to act on
    gc.collect()
    gc.freeze()
    gc.disable()
    leave = partial(os.close, requests.fileno())
    while True:
        try:
            packet, descriptors = protocol.receive_packet(requests)
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            continue  # hsup notices, as the channels that came with it close
        if not packet:
            return
        if len(descriptors) == _OF_A_DYNO:
            channel, setup = descriptors
            try:
                init.fork(channel, setup, packet, shared_setup, leave)
            except OSError as error:  # such as too many processes
                with socket.socket(fileno=os.dup(setup)) as news:
                    child_setup.fail(news, error)
        elif descriptors:
            exec_command.fork(descriptors, packet, shared_setup)
        else:
            requests.send(json.dumps(_run(json.loads(packet))).encode())
        for descriptor in descriptors:
            os.close(descriptor)


def _run(argv: Sequence[str]) -> str:
    """Run a command in this mount namespace; return its complaint if it failed, else ""."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        path = find_tool(argv[0], {"PATH": "/usr/bin:/bin"}) or argv[0]
        ended = RunningTool((path, *argv[1:])).wait()
    except OSError as error:
        return error.strerror or ""
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass  # a dyno that has ended meanwhile
    return "" if ended.status == 0 else ended.complaint
