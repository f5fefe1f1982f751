"""PID 1 of a dyno: reaps its processes, forwards signals, ends them all when hsup is no more.

Every dyno has this process in memory as long as it lives, so that it does little
itself: a child, the builder, makes what the dyno's program needs and becomes that
program. Having changed its user it cannot be traced or read by the dyno's
processes, which have the same one (PR_SET_DUMPABLE in man 2 prctl).
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Collection, Sequence
from typing import NoReturn

import prctl  # type: ignore[import-untyped]

from hsup_driver_libcontainer import execution, kernel, messages, netlink_apply, plan, privileges
from hsup_driver_libcontainer.builder import Builder
from hsup_driver_libcontainer.messages import (
    FORWARDED,
    OWN,
    Built,
    Execute,
    Exited,
    Failed,
    Joined,
    Signal,
    Started,
)
from hsup_driver_libcontainer.plan import Common, Ground

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET


def fork(channel: int, ground: bytes, common: Common) -> None:
    """Fork the first process of a dyno.

    `channel` is a descriptor of its end of the channel, `ground` the packet of a
    `Ground`. The caller has one thread, and keeps its own pid namespace.
    """
    here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
        if not os.fork():
            _be(socket.socket(fileno=channel), Ground.read(ground), common)
        kernel.setns(here, kernel.CLONE_NEWPID)
    finally:
        os.close(here)


def _be(channel: socket.socket, ground: Ground, common: Common) -> NoReturn:
    """Be PID 1, to the end."""
    try:
        os.setsid()  # the terminal of hsup's caller is none of the dyno's
        os.chdir("/")  # moves to the new root with everybody
        os.umask(0o022)
        _close_all_but({2, channel.fileno(), *common.kept})
        null = os.open(os.devnull, os.O_RDWR)
        for stream in {0, 1} - {null}:
            os.dup2(null, stream)
        Init(channel, ground, common).run()
    except OSError as error:
        execution.fail(channel, OWN, error)
    finally:
        execution.end()


class Init:
    """A dyno, seen from its first process."""

    def __init__(self, channel: socket.socket, ground: Ground, common: Common) -> None:
        self._channel = channel
        self._ground = ground
        self._common = common
        self._programs: dict[int, int] = {}

    def run(self) -> None:
        """Have the program started, and serve until nothing is left."""
        prctl.set_name("hsup-init")
        prctl.set_proctitle("hsup: a dyno to be")
        self._woken = _listen_to_signals()
        with netlink_apply.route_socket() as host_network:
            self._have_namespaces()
            news = self._fork_builder(host_network)
        self._see_started(news)
        self._serve()

    def _have_namespaces(self) -> None:
        """Have all that programs inherit, and that can only be had from the host's namespaces."""
        ground = self._ground
        kernel.unshare(_NAMESPACES)
        socket.sethostname(ground.hostname)
        self._joins = [os.open(one, os.O_WRONLY | os.O_CLOEXEC) for one in ground.join_files]
        privileges.set_limits(ground.open_files)
        privileges.gain_none(self._common.highest_capability)
        if ground.cpus:
            os.sched_setaffinity(0, ground.cpus)

    def _fork_builder(self, host_network: socket.socket) -> socket.socket:
        """Fork the process that becomes the program; return where it tells how it fares."""
        news, child_news = messages.pair()
        pid = os.fork()
        if not pid:
            news.close()
            builder = Builder(self._channel, child_news, host_network, self._ground, self._common)
            builder.run(self._joins)
        self._programs[pid] = OWN
        child_news.close()
        return news

    def _see_started(self, news: socket.socket) -> None:
        """Tell hsup whether the program was executed; give up all privileges meanwhile."""
        started: Started | None = None
        while (received := messages.receive(news)) is not None:
            match received.message:
                case Joined():
                    (namespace,) = received.descriptors
                    kernel.setns(namespace, kernel.CLONE_NEWCGROUP)
                    os.close(namespace)
                    privileges.drop(self._ground.uid, self._common.seccomp)
                case Built(has_copied_owner, name):
                    prctl.set_proctitle(f"hsup: {name}")
                    started = Started(has_copied_owner)
                case Failed() as failed:
                    messages.send(self._channel, failed)
                    os._exit(1)
        news.close()
        os.dup2(0, 2)  # somebody may wait for the end of a stream
        if started is not None:
            messages.send(self._channel, started)

    def _serve(self) -> None:
        """Reap, forward and obey, until hsup or every process is gone."""
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.register(self._channel, select.POLLIN)
        while self._reap():
            for descriptor, _ in poll.poll():
                if descriptor != self._woken:
                    self._obey()
                    continue
                for woken_by in set(os.read(self._woken, 4096)) & set(FORWARDED):
                    _signal_all(woken_by)

    def _reap(self) -> bool:
        """Collect who has ended, and tell hsup; tell whether anybody is left."""
        ended, is_anybody_left = _collect()
        for pid, status in ended:
            program = self._programs.pop(pid, None)
            if program is not None:
                messages.send(self._channel, Exited(program, status, not is_anybody_left))
        return is_anybody_left

    def _obey(self) -> None:
        received = messages.receive(self._channel)
        if received is None:
            os._exit(1)  # hsup is no more
        match received.message:
            case Signal(number, program) if program == OWN:
                _signal_all(number)
            case Signal(number, program):
                for pid, own in self._programs.items():
                    if own == program:
                        os.kill(pid, number)
            case Execute(program):
                self._execute_beside(program, received.descriptors)

    def _execute_beside(self, number: int, descriptors: Sequence[int]) -> None:
        """Execute another program, with the dyno's user, limits and namespaces."""
        news, child_news = messages.pair()
        pid = os.fork()
        if not pid:
            self._become(number, descriptors, child_news)
        self._programs[pid] = number
        for descriptor in descriptors:
            os.close(descriptor)
        child_news.close()
        received = messages.receive(news)
        news.close()
        if received is not None:
            messages.send(self._channel, received.message)

    def _become(self, number: int, descriptors: Sequence[int], news: socket.socket) -> NoReturn:
        try:
            execution.lead_session()
            execution.join_cgroups(self._joins)
            file, *streams = descriptors
            program = plan.read_program(file)
            uid = self._ground.uid
            terminal = execution.open_terminal(self._channel, number, program.terminal, uid)
            execution.execute(number, program, streams, terminal, news)
        except OSError as error:
            execution.fail(news, number, error)
        finally:
            execution.end()


def _listen_to_signals() -> int:
    """Return a descriptor with the numbers of the signals that come."""
    woken, wake = os.pipe()
    for descriptor in (woken, wake):
        os.set_blocking(descriptor, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, *FORWARDED):
        signal.signal(number, _wake_up)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return woken


def _wake_up(number: int, frame: object) -> None:
    """Be called for a signal; its number is in the wake-up pipe already."""


def _collect() -> tuple[list[tuple[int, int]], bool]:
    """Return the pids and statuses of children that have ended, and whether others run."""
    ended = []
    try:
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            ended.append(one)
    except ChildProcessError:
        return ended, False
    return ended, True


def _signal_all(number: int) -> None:
    """Send a signal to all processes of the pid namespace but this, in one step."""
    try:
        os.kill(-1, number)
    except ProcessLookupError:
        pass  # there is none


def _close_all_but(kept: Collection[int]) -> None:
    first = 0
    for descriptor in sorted(kept):
        if descriptor > first:
            kernel.close_range(first, descriptor - 1)
        first = descriptor + 1
    kernel.close_range(first)
