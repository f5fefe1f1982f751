"""Take from a process what a dyno must not have, for good."""

from __future__ import annotations

import os
import resource

import prctl  # type: ignore[import-untyped]

from hsup_driver_libcontainer import kernel


def set_limits(open_files: int) -> None:
    """Limit descriptors, and let no core file reach the host's handler of them."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
    except ValueError:  # hsup itself may have fewer, and may not raise the limit
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def gain_none(highest: int) -> None:
    """Let this process and its children gain no capability by executing, nor keys of hsup's."""
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
    prctl.set_dumpable(0)  # until execve: whatever fs.suid_dumpable says, see man 5 proc
