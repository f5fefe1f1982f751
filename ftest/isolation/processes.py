"""Attempts on other processes, and on one's own privileges."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import resource
import signal
from pathlib import Path

from attempt import ABSENT, Facts, Inapplicable, Refused, attempt, call
from files import SECRET

#: What was in /proc/self/fd when the program started, the listing included.
OPEN_AT_START: list[str] = []

PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_SET_SECUREBITS = 47, 2, 28
CAP_SYS_ADMIN = 21

SECRETS_OF_INIT = ("environ", "mem", "maps", "auxv", "stack", "syscall", "io", "pagemap")


def _status(name: str, process: object = "self") -> str:
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{name}:\s*(.*)$", text, re.MULTILINE)
    assert found is not None, name
    return found[1]


for _set in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):

    @attempt(f"have a capability in {_set}")
    def have_capability(_: Facts, name: str = _set) -> object:
        if int(_status(name), 16):
            return _status(name)
        raise Refused("none")


@attempt("gain privileges by executing a program")
def gain_privileges(_: Facts) -> object:
    if _status("NoNewPrivs") == "1":
        raise Refused("NoNewPrivs: 1")
    return "NoNewPrivs: 0"


@attempt("use any system call")
def use_any_call(_: Facts) -> object:
    if _status("Seccomp") == "2":
        raise Refused("Seccomp: 2")
    return f"Seccomp: {_status('Seccomp')}"


@attempt("be root")
def be_root(_: Facts) -> object:
    if 0 in (*os.getresuid(), *os.getresgid(), *os.getgroups()):
        return f"{os.getresuid()} {os.getresgid()} {os.getgroups()}"
    raise Refused(f"user {os.getuid()}, groups {os.getgroups()}")


@attempt("share the user of another container")
def share_user(facts: Facts) -> object:
    if os.getuid() == facts.neighbour_uid:
        return f"both are user {os.getuid()}"
    raise Refused(f"user {os.getuid()}, the other is {facts.neighbour_uid}")


@attempt("become root")
def become_root(_: Facts) -> object:
    os.setresuid(0, 0, 0)
    return os.getresuid()


@attempt("join root's group")
def join_group(_: Facts) -> object:
    os.setgroups([0])
    return os.getgroups()


@attempt("become another container's user")
def become_neighbour(facts: Facts) -> object:
    os.setresuid(facts.neighbour_uid, facts.neighbour_uid, facts.neighbour_uid)
    return os.getresuid()


@attempt("take a capability", [errno.EINVAL])
def take_capability(_: Facts) -> object:
    header = ctypes.create_string_buffer(bytes.fromhex("2205082000000000"))
    every = ctypes.create_string_buffer(b"\xff" * 24)
    return call("capset", header, every)


@attempt("hand a capability to programs")
def raise_ambient(_: Facts) -> object:
    return call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0)


@attempt("change the rules of capabilities")
def change_securebits(_: Facts) -> object:
    return call("prctl", PR_SET_SECUREBITS, 0, 0, 0, 0)


@attempt("trace PID 1")
def trace_init(_: Facts) -> object:
    return call("ptrace", PTRACE_SEIZE, 1, None, None)


@attempt("read the memory of PID 1", [errno.EFAULT])
def read_init(_: Facts) -> object:
    with open("/proc/1/mem", "rb") as memory:
        return memory.fileno()


@attempt("read the memory of PID 1 with process_vm_readv", ABSENT)
def read_init_by_call(_: Facts) -> object:
    here = ctypes.create_string_buffer(8)
    local = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
    remote = (ctypes.c_size_t * 2)(0x400000, 8)
    return call("process_vm_readv", 1, local, 1, remote, 1, 0)


@attempt("take a descriptor of PID 1", [errno.EBADF])
def take_descriptor(_: Facts) -> object:
    process = os.pidfd_open(1)
    return call("pidfd_getfd", process, 3, 0)


@attempt("list the descriptors of PID 1")
def list_descriptors(_: Facts) -> object:
    return os.listdir("/proc/1/fd")


@attempt("read what PID 1 keeps to itself")
def read_secrets_of_init(_: Facts) -> object:
    for name in SECRETS_OF_INIT:
        try:
            with open(f"/proc/1/{name}", "rb") as file:
                if name != "mem":
                    file.read(64)
                return name
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EPERM, errno.ENOENT}:
                raise
    raise Refused("EACCES")


@attempt("kill PID 1")
def kill_init(_: Facts) -> object:
    os.kill(1, signal.SIGKILL)
    os.kill(1, signal.SIGSTOP)
    if _status("State", 1)[0] in "TtZX":
        return _status("State", 1)
    raise Refused("it took no notice")


@attempt("kill a process of the host", ABSENT)
def kill_host_process(facts: Facts) -> object:
    if os.path.exists(f"/proc/{facts.host_pid}"):
        raise Inapplicable("a process of the container has the same id")
    os.kill(facts.host_pid, 0)
    return facts.host_pid


@attempt("find a secret of hsup's, of the host's or of a neighbour's in a command line")
def see_processes(_: Facts) -> object:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if SECRET.search((process / "cmdline").read_bytes()):
                return process
        except OSError:
            continue
    raise Refused(f"{len([*Path('/proc').glob('[0-9]*')])} processes, all of them own")


@attempt("find a secret of hsup's in an environment")
def find_environment(_: Facts) -> object:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if SECRET.search((process / "environ").read_bytes()):
                return process
        except OSError:
            continue
    raise Refused("none has it")


@attempt("find a secret of hsup's in memory")
def find_in_memory(_: Facts) -> object:
    """Search one's own memory, and PID 1's, which was forked from hsup's."""
    for process in (1, os.getppid()):
        try:
            if _search_memory(process):
                return f"in process {process}"
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EPERM}:
                raise
    raise Refused("not there")


def _search_memory(process: int) -> bool:
    areas = Path(f"/proc/{process}/maps").read_text().splitlines()
    with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:
        for area in (one.split() for one in areas):
            start, end = (int(one, 16) for one in area[0].split("-"))
            if "r" not in area[1] or area[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            memory.seek(start)
            if SECRET.search(memory.read(end - start) or b""):
                return True
    return False


@attempt("use a descriptor that was left open")
def use_descriptor(_: Facts) -> object:
    left = {name for name in OPEN_AT_START if int(name) > 2}
    left = {name for name in left if os.path.exists(f"/proc/self/fd/{name}")}
    if left:
        return {name: os.readlink(f"/proc/self/fd/{name}") for name in sorted(left)}
    raise Refused("0, 1 and 2 only")


@attempt("be preferred by the scheduler")
def be_preferred(_: Facts) -> object:
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return os.getpriority(os.PRIO_PROCESS, 0)


@attempt("be scheduled in real time")
def be_real_time(_: Facts) -> object:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    return "SCHED_FIFO"


@attempt("be preferred by disks")
def be_preferred_by_disks(_: Facts) -> object:
    number = {"x86_64": 251, "aarch64": 30}[os.uname().machine]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), 1, 0, 1 << 13) < 0:  # real time
        raise OSError(ctypes.get_errno(), "ioprio_set")
    return "the real-time class"


@attempt("be spared when memory is short")
def be_spared(_: Facts) -> object:
    path = Path("/proc/self/oom_score_adj")
    path.write_text("-500")
    return path.read_text()


@attempt("raise a limit of resources", [errno.EINVAL])
def raise_limit(_: Facts) -> object:
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_CORE):
        hard = resource.getrlimit(limit)[1]
        if hard == resource.RLIM_INFINITY:
            continue
        try:
            resource.setrlimit(limit, (hard + 1, hard + 1))
        except ValueError:  # how Python says EPERM
            continue
        return f"limit {limit} is {hard + 1}"
    raise Refused("EPERM")


@attempt("have hsup or the host handle a core file")
def dump_core(_: Facts) -> object:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        raise Refused("core files are of 0 bytes at most")
    return f"core files of {resource.getrlimit(resource.RLIMIT_CORE)[1]} bytes"
