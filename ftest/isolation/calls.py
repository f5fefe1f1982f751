"""Attempts with system calls that reach beyond a container.

Their arguments make no sense wherever success would do harm: who is allowed to
do it gets EINVAL, EFAULT or ENOENT, who is not EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import signal
import socket
import struct

from attempt import ABSENT, Facts, Inapplicable, Refused, attempt, call

AT_FDCWD = -100
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_REMOUNT, MS_BIND = 0x1, 0x20, 0x1000
NO_PATH = b"/there/is/no/such/path"
SESSION_KEYRING = -3
TIOCSTI = 0x5412

#: By title: the name of a call, and its arguments.
CALLS: dict[str, tuple[object, ...]] = {
    "mount a memory file system": ("mount", b"none", b"/mnt", b"tmpfs", 0, None),
    "mount another /proc": ("mount", b"proc", b"/mnt", b"proc", 0, None),
    "mount an overlay": ("mount", b"none", b"/mnt", b"overlay", 0, b"lowerdir=/etc:/usr"),
    "mount a cgroup file system": ("mount", b"none", b"/mnt", b"cgroup2", 0, None),
    "bind a directory over another": ("mount", b"/tmp", b"/mnt", None, MS_BIND, None),
    "make the root writable": ("mount", b"none", b"/", None, MS_REMOUNT | MS_BIND, None),
    "make /sys writable": ("mount", b"none", b"/sys", None, MS_REMOUNT | MS_BIND, None),
    "make /proc/sys writable": ("mount", b"none", b"/proc/sys", None, MS_REMOUNT | MS_BIND, None),
    "uncover a masked file": ("umount2", b"/proc/kcore", 2),
    "uncover what is beneath /tmp": ("umount2", b"/tmp", 2),
    "open a file system": ("fsopen", b"tmpfs", 0),
    "copy a tree of mounts": ("open_tree", AT_FDCWD, b"/", 1),
    "move a mount": ("move_mount", AT_FDCWD, b"/tmp", AT_FDCWD, b"/mnt", 0),
    "change a mount's attributes": ("mount_setattr", AT_FDCWD, b"/", 0, bytes(32), 32),
    "exchange the root": ("pivot_root", NO_PATH, NO_PATH),
    "change the root": ("chroot", b"/tmp"),
    "make a user namespace": ("unshare", CLONE_NEWUSER),
    "make a mount namespace": ("unshare", CLONE_NEWNS),
    "clone into a user namespace": ("clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0),
    "enter the namespace of nothing": ("setns", -1, 0),
    "load a module": ("init_module", None, 0, b""),
    "load a module from a file": ("finit_module", -1, b"", 0),
    "unload a module": ("delete_module", b"there-is-no-such-module", 0),
    "load another kernel": ("kexec_load", 0, 1000, None, 0),
    "load another kernel from files": ("kexec_file_load", -1, -1, 0, b"", 0),
    "restart the machine": ("reboot", 0),
    "add swap": ("swapon", NO_PATH, 0),
    "remove swap": ("swapoff", NO_PATH),
    "set the time": ("settimeofday", None, None),
    "set a clock": ("clock_settime", 1, bytes(16)),
    "set the host's name": ("sethostname", socket.gethostname().encode(), 4),
    "set the domain's name": ("setdomainname", b"name", 4),
    "account for processes": ("acct", NO_PATH),
    "load a BPF program": ("bpf", 5, bytes(72), 72),
    "make a BPF map": ("bpf", 0, struct.pack("=IIII", 2, 4, 4, 1) + bytes(56), 72),
    "count the kernel's events": ("perf_event_open", bytes(112), 0, -1, -1, 0),
    "handle page faults": ("userfaultfd", 0),
    "make an io_uring": ("io_uring_setup", 1, bytes(120)),
    "find the session's keyring": ("keyctl", 0, SESSION_KEYRING, 0),
    "join another's session keyring": ("keyctl", 1, b"_ses"),
    "add a key": ("add_key", b"user", b"name", b"value", 5, SESSION_KEYRING),
    "request a key": ("request_key", b"user", b"name", None, 0),
    "set disk quota": ("quotactl", -1, NO_PATH, 0, None),
    "control the NFS server": ("nfsservctl", -1, None, None),
    "look up a cookie of a directory entry": ("lookup_dcookie", -1, None, 0),
    "watch all file accesses": ("fanotify_init", 0, 0),
    "open a file by its handle": ("open_by_handle_at", AT_FDCWD, bytes(8), 0),
    "read the kernel's log": ("klogctl", 3, ctypes.create_string_buffer(64), 64),
    "clear the kernel's log": ("klogctl", 99, None, 0),
    "hang up the terminal": ("vhangup",),
    "turn off the randomness of addresses": ("personality", 0x40000),
    "take the memory pages of PID 1": ("move_pages", 1, 0, None, None, None, 0),
    "compare with PID 1": ("kcmp", 1, os.getpid(), 0, 0, 0),
}


def _register(title: str, words: tuple[object, ...]) -> None:
    name, *arguments = words
    assert isinstance(name, str)

    @attempt(title)
    def act(_: Facts) -> object:
        return f"{name} returned {call(name, *arguments)}"


for _title, _words in CALLS.items():
    _register(_title, _words)


@attempt("clone3 into a user namespace")
def clone_anew(_: Facts) -> object:
    pid = call("clone3", struct.pack("=11Q", CLONE_NEWUSER, 0, 0, 0, signal.SIGCHLD, *[0] * 6), 88)
    if pid == 0:
        os._exit(0)
    return f"process {pid}"


@attempt("enter the namespaces of PID 1")
def enter_namespace(_: Facts) -> object:
    descriptor = os.open("/proc/1/ns/mnt", os.O_RDONLY)
    return call("setns", descriptor, 0)


@attempt("do input and output on ports")
def use_ports(_: Facts) -> object:
    if platform.machine() != "x86_64":
        raise Inapplicable("this machine has no ports")
    for name, arguments in {"iopl": (3,), "ioperm": (0x80, 1, 1)}.items():
        try:
            return f"{name} returned {call(name, *arguments)}"
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
    raise Refused("EPERM")


@attempt("change the local descriptor table")
def change_descriptors(_: Facts) -> object:
    if platform.machine() != "x86_64":
        raise Inapplicable("this machine has none")
    return call("modify_ldt", 0, ctypes.create_string_buffer(16), 16)


@attempt("get round the filter with a 32-bit call", deaths=[signal.SIGSYS, signal.SIGSEGV])
def call_in_32_bits(_: Facts) -> object:
    if platform.machine() != "x86_64":
        raise Inapplicable("this machine has no 32-bit calls of x86")
    code = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret
    memory = mmap.mmap(-1, len(code), prot=mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    held = ctypes.c_char.from_buffer(memory)
    return f"pid {ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(held))()}"


@attempt("get round the filter with an x32 call")
def call_in_x32(_: Facts) -> object:
    if platform.machine() != "x86_64":
        raise Inapplicable("this machine has no x32 calls")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(0x40000000 + 39)) < 0:
        raise OSError(ctypes.get_errno(), "getpid")
    return "getpid answered"


@attempt("type into the terminal", [errno.EIO])
def type_into_terminal(_: Facts) -> object:
    os.setsid()
    terminal = os.openpty()[1]
    fcntl.ioctl(terminal, 0x540E, 0)  # TIOCSCTTY: it has to be the process's own
    fcntl.ioctl(terminal, TIOCSTI, b"x")
    return "a letter"


@attempt("type into the terminal with high bits set", [errno.EIO])
def type_into_terminal_with_high_bits(_: Facts) -> object:
    os.setsid()
    terminal = os.openpty()[1]
    fcntl.ioctl(terminal, 0x540E, 0)
    return call("ioctl", terminal, TIOCSTI | 1 << 32, b"x")


@attempt("make a device")
def make_device(_: Facts) -> object:
    os.mknod("/tmp/memory", 0o20600, os.makedev(1, 1))
    os.unlink("/tmp/memory")
    return "a node for /dev/mem"


@attempt("make a disk")
def make_disk(_: Facts) -> object:
    path = "/dev/shm/disk"
    os.mknod(path, 0o60600, os.makedev(254, 0))
    try:
        with open(path, "rb") as disk:
            return f"{len(disk.read(512))} bytes of the disk"
    finally:
        os.unlink(path)


@attempt("find a file of the host by its handle", ABSENT | {errno.EOPNOTSUPP})
def open_by_handle(_: Facts) -> object:
    handle = ctypes.create_string_buffer(struct.pack("=II", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call("name_to_handle_at", AT_FDCWD, b"/etc/hosts", handle, ctypes.byref(mount), 0)
    root = os.open("/etc/hosts", os.O_RDONLY)
    return f"descriptor {call('open_by_handle_at', root, handle, os.O_RDONLY)}"
