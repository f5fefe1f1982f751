"""Build the network and the file systems of a dyno, then become its program.

The builder is a child of the dyno's first process, in the same namespaces: the memory that
it takes is freed when the program is executed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from hsup_driver_libcontainer.child import (
    child_setup,
    facts,
    mount_steps,
    netlink_apply,
    plan,
    privileges,
    protocol,
)
from hsup_driver_libcontainer.child.mounts import FileSystems
from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.child.owner import Owner
from hsup_driver_libcontainer.child.plan import ProcessSetup, SharedSetup
from hsup_driver_libcontainer.child.protocol import Built, Connect, Launch, Watch


class Builder:
    """The process that becomes a dyno's program.

    `setup` is its channel to hsup; `unprivileged` is a pipe that closes when the first process
    has dropped its privileges.
    """

    def __init__(
        self,
        setup: socket.socket,
        unprivileged: int,
        process_setup: ProcessSetup,
        shared_setup: SharedSetup,
    ) -> None:
        self._setup = setup
        self._unprivileged = unprivileged
        self._process_setup = process_setup
        self._shared_setup = shared_setup

    def run(self) -> NoReturn:
        """Build what hsup asks for, and become the program."""
        process_setup = self._process_setup
        try:
            protocol.send(self._setup, Watch(), [os.pidfd_open(os.getppid())])
            child_setup.lead_session()
            socket.sethostname(process_setup.hostname)
            child_setup.limit(process_setup, self._shared_setup)
            self._owner = Owner(process_setup.uid)
            child_setup.join_cgroups(child_setup.open_joins(process_setup.join_files))
            self._execute(self._make_network_and_files())
        except Exception as error:  # noqa: BLE001 - reported to hsup, which shows it
            child_setup.fail(self._setup, error)
        finally:
            os._exit(1)

    def _make_network_and_files(self) -> _Made:
        """Make the network and the file systems, in the order in which hsup asks for them."""
        is_connected = False
        made = None
        while not is_connected or made is None:
            received = protocol.receive(self._setup)
            if received is None:
                os._exit(1)  # hsup has ended
            match received.message:
                case Connect(network):
                    with socket.socket(fileno=received.descriptors[0]) as host:
                        netlink_apply.apply(host, NetworkPlan(*json.loads(network)))
                    is_connected = True
                case Launch():
                    made = self._make_files(*received.descriptors)
        return made

    def _make_files(self, plan_file: int, program_file: int, *streams: int) -> _Made:
        """Make the file systems, and a terminal if the plan has one."""
        uid = self._process_setup.uid
        for stream in streams:  # so that the dyno can open /dev/stdout and its like
            if os.readlink(f"/proc/self/fd/{stream}").startswith("pipe:"):
                os.fchown(stream, uid, uid)
        dyno = plan.read_plan(plan_file)
        steps = mount_steps.steps(dyno, uid, self._shared_setup.stage, facts.look(dyno, uid))
        file_systems = FileSystems(self._owner)
        file_systems.make(steps)
        terminal = child_setup.open_terminal(self._setup, dyno.terminal, uid)
        return _Made(program_file, streams, terminal, file_systems.has_copied_owner)

    def _execute(self, made: _Made) -> NoReturn:
        """Drop all privileges, and become the program."""
        privileges.drop(self._process_setup.uid, self._shared_setup.seccomp)
        program = plan.read_program(made.program_file)
        self._owner.reap()
        os.read(self._unprivileged, 1)
        protocol.send(self._setup, Built(made.has_copied_owner))
        child_setup.execute(program, made.streams, made.terminal, self._setup)


class _Made(NamedTuple):
    """What `Launch` brought, once all file systems are in place."""

    program_file: int
    streams: Sequence[int]
    terminal: int | None
    has_copied_owner: bool
