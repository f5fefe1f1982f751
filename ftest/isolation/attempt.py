"""Register attempts to get out of a container, and tell how one ended.

These files need nothing but Python, and run inside the container.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import signal
from collections.abc import Callable, Iterable
from typing import NamedTuple, NoReturn

#: What a system call that somebody forbids answers.
FORBIDDEN = frozenset({errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS})
#: What answers when there is nothing of that name.
ABSENT = frozenset({errno.ENOENT, errno.ESRCH, errno.ENXIO, errno.ENODEV, errno.ENOTDIR})

_SECONDS = 20

_LIBC = ctypes.CDLL(None, use_errno=True)
_X86_64 = {
    "add_key": 248, "bpf": 321, "kcmp": 312, "kexec_file_load": 320, "kexec_load": 246,
    "keyctl": 250, "lookup_dcookie": 212, "modify_ldt": 154, "move_pages": 279,
    "nfsservctl": 180, "perf_event_open": 298, "pivot_root": 155, "request_key": 249,
    "userfaultfd": 323, "clone": 56, "settimeofday": 164, "finit_module": 313,
}  # fmt: skip
_AARCH64 = {
    "add_key": 217, "bpf": 280, "kcmp": 272, "kexec_file_load": 294, "kexec_load": 104,
    "keyctl": 219, "lookup_dcookie": 18, "move_pages": 239, "nfsservctl": 42,
    "perf_event_open": 241, "pivot_root": 41, "request_key": 218, "userfaultfd": 282,
    "clone": 220, "settimeofday": 170, "finit_module": 273,
}  # fmt: skip
_EVERYWHERE = {
    "clone3": 435, "fsopen": 430, "io_uring_setup": 425, "mount_setattr": 442,
    "move_mount": 429, "open_tree": 428, "pidfd_getfd": 438, "pidfd_open": 434,
}  # fmt: skip
_NUMBERS = {**{"x86_64": _X86_64, "aarch64": _AARCH64}[platform.machine()], **_EVERYWHERE}

REFUSED, ALLOWED, INAPPLICABLE = "refused", "allowed", "inapplicable"


class Refused(Exception):
    """What was attempted had no effect; the text is what was seen instead."""


class Inapplicable(Exception):
    """What is to be attacked is not here; the text is what is missing."""


class Facts(NamedTuple):
    """What the attempts are told of the world outside.

    `host_port` is listened on at 127.0.0.1 of the host; `host_socket` is the
    name of an abstract unix socket, `host_shm_key` of a System V segment,
    `host_file` of a file and `host_pid` of a process of it. The neighbour is
    another container; its segment's key is greater by one. At `bridged_ip` is one
    that somebody else has started, behind a bridge of the host.
    """

    host_port: int
    host_socket: str
    host_shm_key: int
    host_file: str
    host_pid: int
    bridged_ip: str
    neighbour_ip: str
    neighbour_port: int
    neighbour_uid: int


class Ending(NamedTuple):
    """How an attempt ended, and what was seen."""

    title: str
    outcome: str
    seen: str


class Attempt(NamedTuple):
    """`act` returns what it gained, or raises Refused, Inapplicable or OSError.

    An OSError is a refusal if its errno is among `refusals`, and to be killed
    by a signal is one if that is among `deaths`.
    """

    title: str
    act: Callable[[Facts], object]
    refusals: frozenset[int]
    deaths: frozenset[signal.Signals]
    is_alone: bool


ATTEMPTS: dict[str, Attempt] = {}


def attempt(
    title: str,
    refusals: Iterable[int] = (),
    deaths: Iterable[signal.Signals] = (),
    *,
    is_alone: bool = False,
) -> Callable[[Callable[[Facts], object]], Callable[[Facts], object]]:
    """Register a function; one that `is_alone` may end its container."""

    def register(act: Callable[[Facts], object]) -> Callable[[Facts], object]:
        assert title not in ATTEMPTS, title
        every = FORBIDDEN | frozenset(refusals)
        ATTEMPTS[title] = Attempt(title, act, every, frozenset(deaths), is_alone)
        return act

    return register


def call(name: str, *arguments: object) -> int:
    """Do a system call, through libc's function of that name if it has one."""
    values = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    ctypes.set_errno(0)
    if name in _NUMBERS:
        result = int(_LIBC.syscall(ctypes.c_long(_NUMBERS[name]), *values))
    else:
        result = int(getattr(_LIBC, name)(*values))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def make(one: Attempt, facts: Facts) -> Ending:
    """Make an attempt in a child of its own, so that it may do what it likes."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _tell(one, facts, writer)
    os.close(writer)
    with open(reader, "rb") as answers:
        answer = answers.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if answer:
        return Ending(one.title, *json.loads(answer))
    outcome = REFUSED if -status in one.deaths else ALLOWED
    how = signal.Signals(-status).name if status < 0 else f"status {status}"
    return Ending(one.title, outcome, f"ended by {how}")


def _tell(one: Attempt, facts: Facts, writer: int) -> NoReturn:
    signal.alarm(_SECONDS)
    try:
        ending = _outcome(one, facts)
    except BaseException as error:  # noqa: BLE001 - a fault of ours must not look like a refusal
        ending = ALLOWED, f"fault of the attempt: {error!r}"
    os.write(writer, json.dumps(ending).encode())
    os._exit(0)


def _outcome(one: Attempt, facts: Facts) -> tuple[str, str]:
    try:
        return ALLOWED, str(one.act(facts))
    except Refused as refusal:
        return REFUSED, str(refusal)
    except Inapplicable as reason:
        return INAPPLICABLE, str(reason)
    except OSError as error:
        name = errno.errorcode.get(error.errno or 0, str(error))
        return (REFUSED if error.errno in one.refusals else ALLOWED), name
