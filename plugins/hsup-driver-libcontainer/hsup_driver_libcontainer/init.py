"""PID 1 of a dyno: builds its surroundings, starts its program, reaps and forwards.

It ends, and everything in the dyno with it, when hsup is no more. Having
changed its user it cannot be traced or read by the dyno's processes, which have
the same one (PR_SET_DUMPABLE in man 2 prctl).
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import stat
import struct
import sys
import termios
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, NoReturn

import prctl  # type: ignore[import-untyped]

from hsup_driver_libcontainer import kernel, messages, netlink_apply, plan, privileges
from hsup_driver_libcontainer.messages import (
    FORWARDED,
    Connect,
    Execute,
    Exited,
    Failed,
    Launch,
    Master,
    Signal,
    Started,
    Watch,
)
from hsup_driver_libcontainer.mounts import Owner, RootFilesystem
from hsup_driver_libcontainer.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.plan import Ground, Program, Terminal

_NAMESPACES = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWNET
#: What the program of the dyno itself is called in messages.
_OWN = 0
_JOINED = b"joined"
_GO = b"go"
_STREAMS = (0, 1, 2)

#: From the kernel's asm-generic/ioctls.h.
_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431


def fork(channel: socket.socket, ground_file: int, kept: Iterable[int], stage: str) -> None:
    """Fork the first process of a dyno.

    `channel` is its end of the channel, `kept` are descriptors of leases that
    it holds as long as it lives, `stage` an empty folder. The caller has one
    thread, and keeps its own pid namespace.
    """
    here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.unshare(kernel.CLONE_NEWPID)
        if not os.fork():
            _be(channel, ground_file, kept, stage)
        kernel.setns(here, kernel.CLONE_NEWPID)
    finally:
        os.close(here)


def _be(channel: socket.socket, ground_file: int, kept: Iterable[int], stage: str) -> NoReturn:
    """Be PID 1, to the end."""
    try:
        os.setsid()  # the terminal of hsup's caller is none of the dyno's
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, *FORWARDED):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _close_all_but({2, channel.fileno(), ground_file, *kept})
        null = os.open(os.devnull, os.O_RDWR)
        for stream in {0, 1} - {null}:
            os.dup2(null, stream)
        Init(channel, plan.read_ground(ground_file), stage).run()
    except OSError as error:
        messages.say(channel, Failed(_OWN, _told(error).decode()))
    finally:
        _end()


class _Surroundings(NamedTuple):
    """What a program is started with: its memory file and three streams."""

    program: int
    streams: Sequence[int]
    terminal: Terminal | None
    has_copied_owner: bool


class Init:
    """A dyno, seen from its first process."""

    def __init__(self, channel: socket.socket, ground: Ground, stage: str) -> None:
        self._channel = channel
        self._ground = ground
        self._stage = stage
        self._programs: dict[int, int] = {}

    def run(self) -> None:
        """Build the surroundings, start the program, and serve until nothing is left.

        The process that becomes the program joins its cgroups, which can take
        long, and gives up its privileges while this one mounts.
        """
        messages.send(self._channel, Watch(), [os.pidfd_open(os.getpid())])
        prctl.set_name("hsup-init")
        prctl.set_proctitle("hsup: a dyno to be")
        self._have_namespaces()
        news, child_news = socket.socketpair()
        pid = os.fork()
        if not pid:
            news.close()
            self._become_program(child_news)
        self._programs[pid] = _OWN
        child_news.close()
        self._let_program_go(news, self._have_surroundings(pid))
        self._serve()

    def _have_namespaces(self) -> None:
        """Have namespaces and limits, and all that can only be had from the host's."""
        ground = self._ground
        self._owner = Owner(ground.uid)
        self._host_network = netlink_apply.route_socket()
        self._highest = privileges.last_capability()
        kernel.unshare(_NAMESPACES)
        socket.sethostname(ground.hostname)
        self._joins = [os.open(one, os.O_WRONLY | os.O_CLOEXEC) for one in ground.join_files]
        privileges.set_limits(ground.open_files)
        if ground.cpus:
            os.sched_setaffinity(0, ground.cpus)

    def _have_surroundings(self, program: int) -> _Surroundings:
        """Have a network and file systems, in the order in which hsup tells of them."""
        is_connected = False
        built: _Surroundings | None = None
        while built is None or not is_connected:
            received = messages.receive(self._channel)
            if received is None:
                os._exit(1)  # hsup is no more
            match received.message:
                case Connect(network):
                    netlink_apply.apply(self._host_network, NetworkPlan(*network))
                    self._host_network.close()
                    is_connected = True
                case Launch():
                    built = self._build(*received.descriptors)
                case Signal(number):
                    os.kill(program, number)
        return built

    def _build(self, plan_file: int, program: int, *streams: int) -> _Surroundings:
        own = plan.read_plan(plan_file)
        os.close(plan_file)
        prctl.set_proctitle(f"hsup: {own.name}")
        uid = self._ground.uid
        for stream in streams:  # so that the dyno can open /dev/stdout and its like
            if stat.S_ISFIFO(os.fstat(stream).st_mode):
                os.fchown(stream, uid, uid)
        root = RootFilesystem(own, uid, self._stage, self._owner)
        root.build()
        os.umask(0o022)
        os.chdir("/app")
        return _Surroundings(program, streams, own.terminal, root.has_copied_owner)

    def _become_program(self, news: socket.socket) -> NoReturn:
        """Become the dyno's program, once the first process lets it go."""
        try:
            os.chdir("/")  # moves to the new root with everybody
            os.setsid()
            self._join_cgroups()
            _enter_cgroup_namespace(news)
            self._drop_privileges()
            go, descriptors, _, _ = socket.recv_fds(news, len(_GO), 5)
            if go != _GO:
                os._exit(1)
            os.chdir("/app")
            program_file, *streams = descriptors
            terminal = streams.pop() if len(streams) > len(_STREAMS) else None
            _execute(plan.read_program(program_file), streams, terminal, news.fileno())
        except OSError as error:
            news.send(_told(error))
        finally:
            _end()

    def _let_program_go(self, news: socket.socket, around: _Surroundings) -> None:
        """Let the program be executed, and give up what it took to come so far."""
        terminal = self._open_terminal(_OWN, around.terminal)
        said, namespaces, _, _ = socket.recv_fds(news, len(_JOINED), 1)
        for namespace in namespaces:
            kernel.setns(namespace, kernel.CLONE_NEWCGROUP)
            os.close(namespace)
        handed = (around.program, *around.streams, *terminal)
        try:
            socket.send_fds(news, [_GO], handed)
        except BrokenPipeError:
            pass  # what it said tells why
        for descriptor in handed:  # somebody waits for the end of a stream
            os.close(descriptor)
        os.dup2(0, 2)
        self._drop_privileges()
        failure = (said + _read_all(news.fileno())).removeprefix(_JOINED)
        news.close()
        if failure:
            messages.send(self._channel, Failed(_OWN, failure.decode()))
            os._exit(1)
        messages.send(self._channel, Started(around.has_copied_owner))

    def _drop_privileges(self) -> None:
        filter_program = bytes.fromhex(self._ground.seccomp)
        privileges.drop(self._ground.uid, self._highest, filter_program)

    def _open_terminal(self, number: int, terminal: Terminal | None) -> Sequence[int]:
        """Make a terminal if one is asked for; send its master to hsup, return the other end."""
        if terminal is None:
            return ()
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
        size = struct.pack("4H", terminal.rows, terminal.columns, 0, 0)
        fcntl.ioctl(master, termios.TIOCSWINSZ, size)
        (place,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))
        slave = os.open(f"/dev/pts/{place}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        os.fchown(slave, self._ground.uid, -1)
        messages.send(self._channel, Master(number), [master])
        os.close(master)
        return (slave,)

    def _join_cgroups(self) -> None:
        for join in self._joins:
            os.write(join, b"0")

    def _serve(self) -> None:
        """Reap, forward and obey, until hsup or every process is gone."""
        woken, wake = os.pipe()
        for descriptor in (woken, wake):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for number in (signal.SIGCHLD, *FORWARDED):
            signal.signal(number, _wake_up)
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        poll.register(self._channel, select.POLLIN)
        while self._reap():
            for descriptor, _ in poll.poll():
                if descriptor != woken:
                    self._obey()
                    continue
                for woken_by in set(os.read(woken, 4096)) & set(FORWARDED):
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
            case Signal(number, program) if program == _OWN:
                _signal_all(number)
            case Signal(number, program):
                for pid, own in self._programs.items():
                    if own == program:
                        os.kill(pid, number)
            case Execute(program):
                self._execute_beside(program, received.descriptors)

    def _execute_beside(self, number: int, descriptors: Sequence[int]) -> None:
        """Execute another program, with the dyno's user, limits and namespaces."""
        file, *streams = descriptors
        program = plan.read_program(file)
        status, child_status = os.pipe()
        terminal = self._open_terminal(number, program.terminal)
        pid = os.fork()
        if not pid:
            try:
                os.setsid()
                self._join_cgroups()
                _execute(program, streams, terminal[0] if terminal else None, child_status)
            except OSError as error:
                os.write(child_status, _told(error))
            finally:
                _end()
        self._programs[pid] = number
        for descriptor in (child_status, *descriptors, *terminal):
            os.close(descriptor)
        failure = _read_all(status)
        os.close(status)
        if failure:
            messages.send(self._channel, Failed(number, failure.decode()))


def _end() -> NoReturn:
    """End this process, never its parent's code; show what is none of the expected errors."""
    if sys.exc_info()[0] is not None:
        sys.excepthook(*sys.exc_info())
    os._exit(1)


def _told(error: OSError) -> bytes:
    what = error.strerror or ""
    return f"{error.filename}: {what}".encode() if error.filename else what.encode()


def _enter_cgroup_namespace(news: socket.socket) -> None:
    """See one's own cgroups as the root of all; send the namespace to the first process."""
    kernel.unshare(kernel.CLONE_NEWCGROUP)
    namespace = os.open("/proc/self/ns/cgroup", os.O_RDONLY | os.O_CLOEXEC)
    socket.send_fds(news, [_JOINED], [namespace])
    os.close(namespace)


def _execute(
    program: Program, streams: Sequence[int], terminal: int | None, status: int
) -> NoReturn:
    """Execute a program with no descriptor open but its streams; what fails goes to `status`."""
    places: Sequence[int] = ()
    if terminal is not None and program.terminal is not None:
        fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
        places = program.terminal.streams
    sources = [terminal or 0 if place in places else one for place, one in enumerate(streams)]
    high = [fcntl.fcntl(one, fcntl.F_DUPFD, 10) for one in sources]
    for place, descriptor in enumerate(high):
        os.dup2(descriptor, place, inheritable=True)
    os.dup2(status, 3, inheritable=False)
    kernel.close_range(4)
    try:
        os.execve(program.argv[0], program.argv, program.environment)  # noqa: S606
    except OSError as error:
        os.write(3, _told(error))
    os._exit(1)


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


def _wake_up(number: int, frame: object) -> None:
    """Be called for a signal; its number is in the wake-up pipe already."""


def _read_all(descriptor: int) -> bytes:
    data = b""
    while chunk := os.read(descriptor, 4096):
        data += chunk
    return data


def _close_all_but(kept: Collection[int]) -> None:
    first = 0
    for descriptor in sorted(kept):
        if descriptor > first:
            kernel.close_range(first, descriptor - 1)
        first = descriptor + 1
    kernel.close_range(first)
