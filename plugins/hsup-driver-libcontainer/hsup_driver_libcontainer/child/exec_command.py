"""Exec a command in a running dyno by entering its namespaces, as nsenter does."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence
from typing import NoReturn

from hsup_driver_libcontainer.child import child_setup, kernel, plan, privileges, reaper
from hsup_driver_libcontainer.child.plan import ProcessSetup, SharedSetup

_NAMESPACES = (
    kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWUTS
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWNET
)

#: Errors of entering the namespaces of a first process that is ending, and of forking in them.
_OF_THE_ENDING = frozenset({errno.ESRCH, errno.ENOMEM})

#: A first process ends after all other processes of the dyno.
_END_TIMEOUT_MS = 10_000


def fork(descriptors: Sequence[int], process_setup: bytes, shared_setup: SharedSetup) -> None:
    """Fork a process that starts a command and reports its end to hsup.

    `descriptors` are a channel to hsup, a pidfd of the dyno's first process, the memory
    file of a program, and three streams; `process_setup` is the packet of its `ProcessSetup`.
    If the dyno ends before the command runs, nothing is reported: the channel just closes.
    """
    if os.fork():
        return
    try:
        _start(socket.socket(fileno=descriptors[0]), descriptors, process_setup, shared_setup)
    finally:
        os._exit(1)  # never return into the parent's code


def _start(
    channel: socket.socket,
    descriptors: Sequence[int],
    process_setup: bytes,
    shared_setup: SharedSetup,
) -> None:
    first_process = descriptors[1]
    setup = ProcessSetup.read(process_setup)
    try:
        os.setsid()
        child_setup.close_all_but({0, 1, 2, *descriptors})
        joins = child_setup.open_joins(setup.join_files)
        kernel.setns(first_process, _NAMESPACES)
        reaper.have_children()
        command = os.fork()
        if not command:
            _execute(channel, descriptors[2:], joins, setup, shared_setup)
        for descriptor in (*descriptors[2:], *joins):
            os.close(descriptor)
        reaper.serve(channel.fileno(), command, target=command)
    except OSError as error:
        timeout_ms = _END_TIMEOUT_MS if error.errno in _OF_THE_ENDING else 0
        if not kernel.has_ended(first_process, timeout_ms):
            child_setup.fail(channel, error)


def _execute(
    channel: socket.socket,
    files: Sequence[int],
    joins: Sequence[int],
    process_setup: ProcessSetup,
    shared_setup: SharedSetup,
) -> NoReturn:
    try:
        child_setup.lead_session()
        child_setup.limit(process_setup, shared_setup)
        child_setup.join_cgroups(joins)
        privileges.drop(process_setup.uid, shared_setup.seccomp)
        file, *streams = files
        child_setup.execute(plan.read_program(file), streams, None, channel)
    except Exception as error:  # noqa: BLE001 - reported to hsup, which shows it
        child_setup.fail(channel, error)
    finally:
        os._exit(1)
