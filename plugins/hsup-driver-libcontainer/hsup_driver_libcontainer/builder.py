"""Builds the surroundings of a dyno's program, and becomes that program.

It is a child of the dyno's first process, and has the same namespaces. So the
memory that all this takes is given back when the program is executed.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import NoReturn

from hsup_driver_libcontainer import execution, kernel, messages, netlink_apply, plan, privileges
from hsup_driver_libcontainer.messages import OWN, Built, Connect, Joined, Launch, Signal, Watch
from hsup_driver_libcontainer.mounts import Owner, RootFilesystem
from hsup_driver_libcontainer.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.plan import Common, Ground, Plan


class Builder:
    """A dyno's program to be.

    `channel` leads to hsup, `news` to the first process, `host_network` to the
    host's network namespace.
    """

    def __init__(
        self,
        channel: socket.socket,
        news: socket.socket,
        host_network: socket.socket,
        ground: Ground,
        common: Common,
    ) -> None:
        self._channel = channel
        self._news = news
        self._host_network = host_network
        self._ground = ground
        self._common = common

    def run(self, join_files: Sequence[int]) -> NoReturn:
        """Build what hsup tells of, and become the program."""
        try:
            messages.send(self._channel, Watch(), [os.pidfd_open(os.getppid())])
            execution.lead_session()
            self._owner = Owner(self._ground.uid)
            execution.join_cgroups(join_files)
            self._enter_cgroup_namespace()
            plan_file, program_file, *streams = self._connect_and_launch()
            self._build(plan.read_plan(plan_file), program_file, streams)
        except OSError as error:
            execution.fail(self._news, OWN, error)
        finally:
            execution.end()

    def _enter_cgroup_namespace(self) -> None:
        """See one's own cgroups as the root of all, and let the first process do so."""
        kernel.unshare(kernel.CLONE_NEWCGROUP)
        namespace = os.open("/proc/self/ns/cgroup", os.O_RDONLY | os.O_CLOEXEC)
        messages.send(self._news, Joined(), [namespace])

    def _connect_and_launch(self) -> Sequence[int]:
        """Have a network, and return the descriptors of a launch, whichever comes first."""
        is_connected = False
        launched: Sequence[int] = ()
        while not (is_connected and launched):
            received = messages.receive(self._channel)
            if received is None:
                os._exit(1)  # hsup is no more
            match received.message:
                case Connect(network):
                    netlink_apply.apply(self._host_network, NetworkPlan(*json.loads(network)))
                    is_connected = True
                case Launch():
                    launched = received.descriptors
                case Signal(number):
                    os.killpg(0, number)  # its own, and the holder of a user namespace
        return launched

    def _build(self, own: Plan, program_file: int, streams: Sequence[int]) -> NoReturn:
        """Have file systems and a terminal, lose all privileges, execute the program."""
        uid = self._ground.uid
        for stream in streams:  # so that the dyno can open /dev/stdout and its like
            if os.readlink(f"/proc/self/fd/{stream}").startswith("pipe:"):
                os.fchown(stream, uid, uid)
        root = RootFilesystem(own, uid, self._common.stage, self._owner)
        root.build()
        terminal = execution.open_terminal(self._channel, OWN, own.terminal, uid)
        privileges.drop(uid, self._common.seccomp)
        program = plan.read_program(program_file)
        self._owner.reap()
        messages.send(self._news, Built(root.has_copied_owner, own.name))
        execution.execute(OWN, program, streams, terminal, self._news)
