"""PID 1 of a dyno: reap processes, forward signals, and end all processes when hsup ends.

Every dyno keeps this process in memory until it ends, and each page that Python writes to
is a copy of its own. So it does next to nothing: a child, the builder, makes what the
dyno's program needs and becomes that program; another process starts exec'd commands.
After its change of user the dyno's processes, which have the same user, can neither trace
nor read it (PR_SET_DUMPABLE in man 2 prctl).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Collection
from typing import NoReturn

import prctl  # type: ignore[import-untyped]

from hsup_driver_libcontainer.child import child_setup, kernel, privileges, reaper
from hsup_driver_libcontainer.child.builder import Builder
from hsup_driver_libcontainer.child.plan import ProcessSetup, SharedSetup

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET


def fork(
    channel: int,
    setup: int,
    process_setup: bytes,
    shared_setup: SharedSetup,
    leave: Callable[[], None],
) -> None:
    """Fork the first process of a dyno.

    `channel` is a descriptor of its end of the channel, `setup` that of the builder, and
    `process_setup` the packet of a `ProcessSetup`. It calls `leave` first, which drops what it
    inherits from the caller, as `leave_all` does. The caller must have one thread, and keeps
    its own pid namespace.
    """
    here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
        try:
            is_first_process = not os.fork()
        except OSError:
            kernel.setns(here, kernel.CLONE_NEWPID)
            raise
        if is_first_process:
            os.close(here)
            _be(channel, setup, process_setup, shared_setup, leave)
        kernel.setns(here, kernel.CLONE_NEWPID)
    finally:
        os.close(here)


def leave_all(kept: Collection[int]) -> None:
    """Drop what a child inherits from an hsup that has no zygote.

    Its descriptors except for standard error, which it shares, and the given ones; its
    directory, umask and import path, and its way to take signals. Input and output are
    /dev/null.
    """
    child_setup.seal()
    reaper.await_signals()
    os.chdir("/")  # pivot_root moves every process that is in /
    os.umask(0o022)
    child_setup.close_all_but({2, *kept})
    null = os.open(os.devnull, os.O_RDWR)
    for stream in {0, 1} - {null}:
        os.dup2(null, stream)


def rehearse() -> None:
    """Call once, without effect, what the first process of every dyno calls.

    What Python allocates at the first call is then in memory that all dynos share, where
    otherwise each would have its own copy.
    """
    kernel.unshare(0)
    prctl.set_name("hsup-zygote")


def _be(
    channel: int,
    setup: int,
    process_setup: bytes,
    shared_setup: SharedSetup,
    leave: Callable[[], None],
) -> NoReturn:
    """Run as PID 1 until the dyno ends."""
    try:
        try:
            leave()
            os.setsid()  # the dyno must not have the terminal of hsup's caller
            kernel.unshare(_NAMESPACES)
            reaper.have_children()
            unprivileged, privileged = os.pipe()
            program = os.fork()
        except OSError as error:
            child_setup.fail(socket.socket(fileno=setup), error)
            os._exit(1)
        if not program:
            os.close(privileged)
            _build(setup, unprivileged, process_setup, shared_setup)
        os.close(setup)
        privileges.change_user(int(process_setup[: process_setup.index(b"\n")]))
        prctl.set_name("hsup-init")
        prctl.set_proctitle("hsup: a dyno's first process")
        os.dup2(0, 2)  # closes the stream: a reader may wait for its end
        os.close(unprivileged)
        os.close(privileged)
        reaper.serve(channel, program, target=-1)
    finally:
        os._exit(1)  # never return into the parent's code


def _build(
    setup: int, unprivileged: int, process_setup: bytes, shared_setup: SharedSetup
) -> NoReturn:
    Builder(
        socket.socket(fileno=setup), unprivileged, ProcessSetup.read(process_setup), shared_setup
    ).run()
