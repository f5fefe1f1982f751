"""System calls, most of them missing in Python's standard library: the only user of ctypes.

Each function is one call, and turns errno into an OSError that names what it was about.
Constants keep the kernel's names; numbers are from its uapi headers.
"""

from __future__ import annotations

import array
import ctypes
import errno
import os
import select
import struct

_libc = ctypes.CDLL(None, use_errno=True)
# Looked up now, they are in memory that all dynos share, and not a copy in each one.
for _name in ("capset", "mount", "setns", "signal", "syscall", "umount2", "unshare"):
    getattr(_libc, _name)
_libc.signal.restype = ctypes.c_ssize_t  # the former handler, a pointer

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 0x2

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
OPEN_TREE_CLONE = 0x1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_IDMAP = 0x00100000

_KEYCTL_JOIN_SESSION_KEYRING = 1
_IOPRIO_WHO_PROCESS = 1
_SECCOMP_SET_MODE_FILTER = 1
_LINUX_CAPABILITY_VERSION_3 = 0x20080522

#: The same on every architecture since Linux 5.1.
_OPEN_TREE, _MOVE_MOUNT, _CLOSE_RANGE, _MOUNT_SETATTR = 428, 429, 436, 442
_X86_64 = {"pivot_root": 155, "keyctl": 250, "seccomp": 317, "ioprio_set": 251}
_ARM64 = {"pivot_root": 41, "keyctl": 219, "seccomp": 277, "ioprio_set": 30}
_NUMBERS = {"x86_64": _X86_64, "aarch64": _ARM64}


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(what: str, number: int, *arguments: object) -> int:
    return _check(int(_libc.syscall(ctypes.c_long(number), *arguments)), what)


def _number(name: str) -> int:
    return _NUMBERS[os.uname().machine][name]


def unshare(flags: int) -> None:
    """Give this process namespaces of its own, see man 2 unshare."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Enter the namespace that a descriptor refers to, see man 2 setns."""
    _check(_libc.setns(descriptor, flags), "setns")


def reset_signal(number: int) -> None:
    """Restore a signal's default action, see man 2 signal; Python still reports the former one.

    Python's own function goes through enumerations, which costs every first process 80 KiB.
    """
    _check(_libc.signal(number, 0), "signal")


def has_ended(pidfd: int, timeout_ms: int | None = 0) -> bool:
    """Tell whether a process has ended, after waiting up to a timeout; None waits forever."""
    return is_ready(pidfd, timeout_ms)


def is_ready(descriptor: int, timeout_ms: int | None, event: int = select.POLLIN) -> bool:
    """Tell whether a descriptor has an event, after waiting up to a timeout."""
    ready = select.poll()
    ready.register(descriptor, event)
    return bool(ready.poll(timeout_ms))


def mount(source: str, target: str, filesystem: str = "", flags: int = 0, data: str = "") -> None:
    """Mount, see man 2 mount."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        filesystem.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )
    _check(result, target)


def umount(target: str, flags: int = 0) -> None:
    """Unmount, see man 2 umount2."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """Exchange the root file system, see man 2 pivot_root."""
    _syscall(new_root, _number("pivot_root"), os.fsencode(new_root), os.fsencode(put_old))


def open_tree(path: str, flags: int) -> int:
    """Return a descriptor of a mount or, with OPEN_TREE_CLONE, of a copy of it."""
    return _syscall(path, _OPEN_TREE, AT_FDCWD, os.fsencode(path), ctypes.c_uint(flags))


def move_mount(descriptor: int, target: str) -> None:
    """Attach a mount that a descriptor refers to."""
    arguments = (descriptor, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)
    _syscall(target, _MOVE_MOUNT, *arguments)


def mount_setattr(
    descriptor: int, attributes: int, user_namespace: int = 0, flags: int = 0
) -> None:
    """Set attributes of a mount that a descriptor refers to, see man 2 mount_setattr."""
    attr = struct.pack("=QQQQ", attributes, 0, 0, user_namespace)
    size = ctypes.c_size_t(len(attr))
    _syscall("mount_setattr", _MOUNT_SETATTR, descriptor, b"", flags | AT_EMPTY_PATH, attr, size)


def has_mount_setattr() -> bool:
    """Tell whether the kernel has mount_setattr, by a call without effect."""
    try:
        mount_setattr(-1, 0)
    except OSError as error:
        return error.errno != errno.ENOSYS
    return True


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close all descriptors from the first to the last."""
    _syscall("close_range", _CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(last), 0)


def drop_capabilities() -> None:
    """Empty the effective, the permitted and the inheritable set, see man 2 capset."""
    header = struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(2 * 3 * 4)), "capset")


def join_new_session_keyring() -> None:
    """Give this process an empty session keyring of its own, see man 2 keyctl."""
    _syscall("keyctl", _number("keyctl"), _KEYCTL_JOIN_SESSION_KEYRING, None)


def reset_io_priority() -> None:
    """Reset the I/O priority, which then follows that of the process, see man 2 ioprio_set."""
    _syscall("ioprio_set", _number("ioprio_set"), _IOPRIO_WHO_PROCESS, 0, 0)


def install_seccomp(program: bytes) -> None:
    """Install a filter: `program` is an array of struct sock_filter, see man 2 seccomp."""
    code = array.array("B", program)
    address, size = code.buffer_info()
    fprog = struct.pack("@HP", size // 8, address)
    _syscall("seccomp", _number("seccomp"), _SECCOMP_SET_MODE_FILTER, 0, fprog)
