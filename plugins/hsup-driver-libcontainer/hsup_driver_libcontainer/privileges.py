"""Take from a process what a dyno must not have, for good."""

from __future__ import annotations

import os
import resource

import prctl  # type: ignore[import-untyped]

from hsup_driver_libcontainer import kernel

_CAP_LAST_CAP = "/proc/sys/kernel/cap_last_cap"


def last_capability() -> int:
    """Return the highest capability that the kernel knows."""
    with open(_CAP_LAST_CAP) as file:
        return int(file.read())


def set_limits(open_files: int) -> None:
    """Limit descriptors, and let no core file reach the host's handler of them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def drop(uid: int, highest: int, seccomp: bytes) -> None:
    """Become the dyno's user, with no capability in any set, and no way to gain one.

    The bounding set is emptied first, as that takes a capability; to change the
    user empties all others (man 7 capabilities).
    """
    kernel.join_new_session_keyring()
    for capability in range(highest + 1):
        prctl.capbset_drop(capability)
    prctl.cap_inheritable.limit()
    os.setgroups(())
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    prctl.set_no_new_privs(1)
    kernel.install_seccomp(seccomp)
    prctl.set_dumpable(0)  # until execve: whatever fs.suid_dumpable says, see man 5 proc
