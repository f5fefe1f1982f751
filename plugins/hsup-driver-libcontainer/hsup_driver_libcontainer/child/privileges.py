"""Drop for good the privileges that a dyno must not have."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

import prctl  # type: ignore[import-untyped]

from hsup_driver_libcontainer.child import kernel

#: Limits that must not depend on where hsup was started from.
_LIMITS = {
    **dict.fromkeys(
        (
            resource.RLIMIT_AS,
            resource.RLIMIT_CPU,
            resource.RLIMIT_DATA,
            resource.RLIMIT_FSIZE,
            resource.RLIMIT_NPROC,  # the cgroup counts processes
            resource.RLIMIT_RSS,
        ),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
    ),
    resource.RLIMIT_STACK: (8 << 20, resource.RLIM_INFINITY),
    resource.RLIMIT_CORE: (0, 0),
    resource.RLIMIT_NICE: (0, 0),
    resource.RLIMIT_RTPRIO: (0, 0),
}


def set_limits(open_files: int) -> None:
    """Limit descriptors, and keep core files from reaching the host's handler of them.

    The other limits are set too, as those of hsup itself may be anything.
    """
    for kind, limit in {**_LIMITS, resource.RLIMIT_NOFILE: (open_files, open_files)}.items():
        try:
            resource.setrlimit(kind, limit)
        except ValueError:  # hsup itself may have less, and may not raise the limit
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard, hard))


def be_ordinary() -> None:
    """Reset the priorities to the defaults, whatever hsup's are, as far as that is permitted."""
    with suppress(PermissionError):
        adjustment = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        os.write(adjustment, b"0")
        os.close(adjustment)
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    kernel.reset_io_priority()


def gain_none(highest: int) -> None:
    """Keep this process and its children from gaining capabilities, and hsup's keys."""
    kernel.join_new_session_keyring()
    for capability in range(highest + 1):
        prctl.capbset_drop(capability)
    prctl.set_no_new_privs(1)


def drop(uid: int, seccomp: str) -> None:
    """Become the dyno's user, with no capability.

    `seccomp` is the system call filter, in hexadecimal digits.
    """
    change_user(uid)
    kernel.drop_capabilities()
    kernel.install_seccomp(bytes.fromhex(seccomp))


def change_user(uid: int) -> None:
    """Become the dyno's user, with neither an effective nor a permitted capability."""
    os.setgroups(())
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    prctl.set_dumpable(0)  # until execve, whatever fs.suid_dumpable is; see man 5 proc
