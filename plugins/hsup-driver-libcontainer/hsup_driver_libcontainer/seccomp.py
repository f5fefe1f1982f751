"""Make the filter of the system calls that a dyno's processes may use, see man 2 seccomp.

It is an allow-list, and refuses at least what Docker's default profile refuses in a
container that has no capability (profiles/seccomp of github.com/moby/moby). It goes
further in three ways: 32-bit system calls kill the process, since no stack has 32-bit
programs and their `socketcall` would bypass the rule for sockets; sockets and socket pairs
must be of the families that applications use; TIOCSTI and modify_ldt are refused.

A refused call answers EPERM. A call that libseccomp does not know answers ENOSYS, so that a
libc newer than the host's falls back to an older call, as it does on an older kernel; so
does clone3, whose flags a filter cannot see.

ptrace and process_vm_readv are allowed, for strace and gdb in a dyno's console: since
Linux 4.8 they cannot bypass a filter, and they reach only processes of the same user,
which are the dyno's own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hsup.api import Finding
from hsup.directories import make_directories
from hsup.errors import DriverError
from hsup_driver_libcontainer.requirements import how_to_install

if TYPE_CHECKING:
    import pyseccomp  # type: ignore[import-untyped]

_ALLOWED = {
    "files by name": """
        access chdir chmod chown creat faccessat faccessat2 fchdir fchmodat fchmodat2 fchownat
        futimesat getcwd lchown link linkat listmount lstat mkdir mkdirat mknod mknodat
        name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename renameat
        renameat2 rmdir stat statfs statmount statx symlink symlinkat truncate umask unlink
        unlinkat utime utimensat utimes""",
    "open files": """
        cachestat close close_range copy_file_range dup dup2 dup3 fadvise64 fallocate fchmod
        fchown fcntl fdatasync flock fstat fstatfs fsync ftruncate getdents getdents64 lseek
        pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv
        sendfile splice sync sync_file_range sync_file_range2 syncfs tee vmsplice write writev
        io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit""",
    "extended attributes": """
        fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr
        listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr
        setxattrat""",
    "waiting": """
        epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd
        eventfd2 futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list
        inotify_add_watch inotify_init inotify_init1 inotify_rm_watch pause poll ppoll pselect6
        select set_robust_list""",
    "memory": """
        brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2
        mlockall mmap mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free
        pkey_mprotect remap_file_pages""",
    "processes": """
        arch_prctl execve execveat exit exit_group fork getpgid getpgrp getpid getppid getsid
        gettid landlock_add_rule landlock_create_ruleset landlock_restrict_self pidfd_open
        pidfd_send_signal prctl process_mrelease process_vm_readv process_vm_writev ptrace
        restart_syscall rseq seccomp set_tid_address setpgid setsid uretprobe vfork wait4
        waitid""",
    "users, whom nobody can change without a capability": """
        capget capset getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid
        setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid""",
    "signals": """
        kill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
        rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill
        tkill""",
    "time, which nobody can set without a capability": """
        adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer
        gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun
        timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times""",
    "scheduling and limits": """
        getcpu getpriority getrlimit getrusage ioprio_get ioprio_set prlimit64
        sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr
        sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
        sched_setparam sched_setscheduler sched_yield setpriority setrlimit""",
    "sockets that exist": """
        accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg
        recvmsg sendmmsg sendmsg sendto setsockopt shutdown""",
    "System V and POSIX IPC, in the dyno's own namespace": """
        mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget
        msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget""",
    "facts": "getrandom sysinfo uname",
}

#: PER_LINUX, PER_LINUX32, both with UNAME26, and the value that only asks (linux/personality.h).
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

#: All CLONE_NEW* flags of linux/sched.h but CLONE_NEWTIME, which clone does not take.
_NAMESPACE_FLAGS = 0x7E020000

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_SOCKET_FAMILIES = (_AF_UNIX, _AF_INET, _AF_INET6)
_AF_NETLINK = 16
#: NETLINK_ROUTE, for getifaddrs and getaddrinfo, and NETLINK_SOCK_DIAG, for ss.
_NETLINK_PROTOCOLS = (0, 4)

#: Inserts input into a terminal as if it were typed (man 2 TIOCSTI).
_TIOCSTI = 0x5412

#: The names in pyseccomp.Arch.
_ARCHITECTURES = {"x86_64": "X86_64", "aarch64": "AARCH64"}
#: The highest number that is looked up; Linux 6.18 ends at 470.
_LAST_NUMBER = 1023

_FILE = "seccomp.bpf"
_PRIVATE = 0o600
_ACTIONS = "/proc/sys/kernel/seccomp/actions_avail"

#: A value of SCMP_FLTATR_CTL_OPTIMIZE; halves the time that the kernel takes to install it.
_BINARY_TREE = 2
#: __NR_SCMP_ERROR.
_UNKNOWN = -1

# linux/bpf_common.h and linux/seccomp.h; an instruction is a struct sock_filter.
_BPF_LD_W_ABS, _BPF_JMP_JGT_K, _BPF_RET_K = 0x20, 0x25, 0x06
_SECCOMP_DATA_NR = 0
_SECCOMP_RET_ERRNO = 0x00050000


def filter_program(directory: str) -> bytes:
    """Return the filter for this machine, an array of struct sock_filter.

    Making it takes some 35 ms, most of them for loading libseccomp; so it is
    cached in `directory`, which is made if it does not exist, readable by root only.
    Raises DriverError.
    """
    path = os.path.join(directory, _FILE)
    program = _kept(path)
    if program is None:
        program = build(os.uname().machine)
        _keep(path, program)
    return program


def build(machine: str) -> bytes:
    """Make the filter for a type of machine, as uname names it. Raises DriverError."""
    if machine not in _ARCHITECTURES:
        raise DriverError(
            f"the system call filter does not support machines of type {machine}",
            hint=f"run hsup on a machine of type {' or '.join(_ARCHITECTURES)}",
        )
    _load_library()
    from pyseccomp import Arch

    architecture: int = getattr(Arch, _ARCHITECTURES[machine])
    return _newer_calls(architecture) + _known_calls(architecture)


def allowed_names() -> Iterator[str]:
    """Yield the names of the calls that are allowed whatever their arguments."""
    return (name for names in _ALLOWED.values() for name in names.split())


def examine() -> list[Finding]:
    """Look for what the filter needs, for `hsup doctor`."""
    return [_examine_kernel(), _examine_library()]


def _load_library() -> None:
    try:
        import pyseccomp  # noqa: F401 - imported to see whether it loads
    except RuntimeError as error:
        raise DriverError(
            "libseccomp is not installed", hint=how_to_install("libseccomp2")
        ) from error


def _newer_calls(architecture: int) -> bytes:
    """Return instructions that answer ENOSYS for numbers that libseccomp does not know."""
    instructions = (
        (_BPF_LD_W_ABS, 0, 0, _SECCOMP_DATA_NR),
        (_BPF_JMP_JGT_K, 0, 1, _last_known_number(architecture)),
        (_BPF_RET_K, 0, 0, _SECCOMP_RET_ERRNO | errno.ENOSYS),
    )
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _last_known_number(architecture: int) -> int:
    import pyseccomp

    for number in range(_LAST_NUMBER, 0, -1):
        with contextlib.suppress(ValueError):
            pyseccomp.resolve_syscall(architecture, number)
            return number
    raise AssertionError("libseccomp knows no system call")


def _known_calls(architecture: int) -> bytes:
    from pyseccomp import ALLOW, ERRNO, KILL_PROCESS, Arch, Attr, SyscallFilter

    rules = SyscallFilter(ERRNO(errno.EPERM))
    rules.remove_arch(Arch.NATIVE)
    rules.add_arch(architecture)
    rules.set_attr(Attr.ACT_BADARCH, KILL_PROCESS)
    rules.set_attr(Attr.CTL_OPTIMIZE, _BINARY_TREE)
    for number in _allowed_numbers():
        rules.add_rule(ALLOW, number)
    for name, arguments in _allowed_by_arguments():
        rules.add_rule(ALLOW, name, *arguments)
    rules.add_rule(ERRNO(errno.ENOSYS), "clone3")
    with open(os.memfd_create("seccomp"), "w+b") as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _allowed_numbers() -> Iterator[int]:
    """Yield the numbers of the calls that are always allowed and that libseccomp knows.

    They are this machine's, or negative numbers for calls that it lacks; libseccomp
    translates them to the filter's architecture.
    """
    from pyseccomp import Arch, resolve_syscall

    numbers = (resolve_syscall(Arch.NATIVE, name) for name in allowed_names())
    return (number for number in numbers if number != _UNKNOWN)


def _allowed_by_arguments() -> Iterator[tuple[str, tuple[pyseccomp.Arg, ...]]]:
    """Yield the calls that are allowed with certain arguments only.

    All 64 bits of an argument are compared although the kernel uses 32, so a rule
    that lists refused values could be bypassed.
    """
    from pyseccomp import EQ, MASKED_EQ, Arg

    yield "clone", (Arg(0, MASKED_EQ, _NAMESPACE_FLAGS, 0),)
    for persona in _PERSONALITIES:
        yield "personality", (Arg(0, EQ, persona),)
    for family in _SOCKET_FAMILIES:
        yield "socket", (Arg(0, EQ, family),)
    for protocol in _NETLINK_PROTOCOLS:
        yield "socket", (Arg(0, EQ, _AF_NETLINK), Arg(2, EQ, protocol))
    yield "socketpair", (Arg(0, EQ, _AF_UNIX),)  # no other family that is allowed has pairs
    for bit in (1 << number for number in range(32)):  # any bit that differs from TIOCSTI's
        yield "ioctl", (Arg(1, MASKED_EQ, bit, ~_TIOCSTI & bit),)


def _kept(path: str) -> bytes | None:
    """Return the cached program; None if its code, library or owner is another one by now."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) != _PRIVATE:
                return None
            origin, _, program = file.read().partition(b"\n")
        library = os.fsdecode(origin.rpartition(b" ")[2])
        return program if origin == _origin(library) else None
    except OSError:
        return None


def _keep(path: str, program: bytes) -> None:
    from hsup.durable import write_durably  # rarely needed

    directory = os.path.dirname(path)
    try:
        make_directories(directory)
        write_durably(path, _origin(_library_path()) + b"\n" + program)
    except OSError as error:
        raise DriverError(
            f"cannot store the system call filter in {directory}: {error.strerror}",
            hint="set LIBCONTAINER_RUN_DIR to a directory that root can write to",
        ) from error


def _origin(library: str) -> bytes:
    """Return a line that identifies the code, the machine and the library behind the program."""
    import zlib

    status = os.stat(library)
    with open(__file__, "rb") as file:
        code = zlib.crc32(file.read())
    facts = (f"{code:08x}", os.uname().machine, status.st_size, status.st_mtime_ns, library)
    return os.fsencode(" ".join(map(str, facts)))


def _library_path() -> str:
    """Return the path of the libseccomp that this process has loaded."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return next(line.split()[-1] for line in maps if "/libseccomp" in line)


def _examine_kernel() -> Finding:
    subject = "system call filter of the kernel"
    try:
        with open(_ACTIONS, encoding="ascii") as file:
            is_good = {"allow", "errno", "kill_process"} <= set(file.read().split())
    except FileNotFoundError:
        is_good = False
    if is_good:
        return Finding(subject, is_good, "supported")
    remedy = "boot a kernel with CONFIG_SECCOMP_FILTER"
    return Finding(subject, is_good, "the kernel does not support seccomp filters", remedy)


def _examine_library() -> Finding:
    try:
        _load_library()
    except DriverError as error:
        return Finding("libseccomp", is_good=False, text=error.args[0], remedy=error.hint)
    return Finding("libseccomp", is_good=True, text=_library_path())
