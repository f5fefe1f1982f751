"""Show the files of a slug as the dyno's, if kernel and file system support idmapped mounts."""

from __future__ import annotations

import errno
import os
import signal

from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.processes import pid_of

#: Errors of mount_setattr where a file system, the kernel or a sandbox refuses to map ids.
_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EPERM)

#: The number of ids: -1 is not one.
_IDS = (1 << 32) - 1


class Owner:
    """Makes the dyno's user the owner of the slug, without touching its files.

    An idmapped mount (man 2 mount_setattr, Linux 5.19 beneath an overlay) shows
    the files of the directory's owner as the dyno's. It needs a user namespace,
    which a short-lived child provides meanwhile. Create an Owner while /proc is
    still the host's.
    """

    def __init__(self, uid: int) -> None:
        self._uid = uid
        self._ready, ready = os.pipe()
        self._child = os.fork()
        if not self._child:
            _hold_user_namespace(ready)
        os.close(ready)
        self._process = _open_process(self._child)

    def own(self, tree: int) -> None:
        """Make the dyno's user the owner of a mount. Call it once.

        Raises OSError(EOPNOTSUPP) if kernel or file system does not support idmapped mounts.
        """
        namespace = self._user_namespace(os.fstat(tree))
        attributes = kernel.MOUNT_ATTR_IDMAP | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
        try:
            kernel.mount_setattr(tree, attributes, namespace)
        except OSError as error:
            if error.errno not in _UNKNOWN:
                raise
            raise OSError(errno.EOPNOTSUPP, error.strerror) from error
        finally:
            os.close(namespace)

    def end(self) -> None:
        """Kill the child, unless that was done already."""
        if self._process >= 0:
            os.close(self._process)
            self._process = -1
            os.kill(self._child, signal.SIGKILL)

    def reap(self) -> None:
        """Wait for the child's end, so that the program does not inherit a zombie."""
        os.waitpid(self._child, 0)

    def _user_namespace(self, owner: os.stat_result) -> int:
        """Return the user namespace of the child, with its id maps written, and end the child."""
        is_there = os.read(self._ready, 1)
        os.close(self._ready)
        if not is_there:  # user.max_user_namespaces is 0
            raise OSError(errno.EOPNOTSUPP, "the kernel allows no user namespaces")
        for name, number in (("uid_map", owner.st_uid), ("gid_map", owner.st_gid)):
            file = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._process)
            os.write(file, exchange_map(number, self._uid).encode())
            os.close(file)
        flags = os.O_RDONLY | os.O_CLOEXEC
        namespace = os.open("ns/user", flags, dir_fd=self._process)
        self.end()
        return namespace


def _open_process(pid: int) -> int:
    """Return a descriptor of a process's directory in the host's /proc, where its pid differs."""
    pidfd = os.pidfd_open(pid)
    path = f"/proc/{pid_of(pidfd)}"
    os.close(pidfd)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _hold_user_namespace(ready: int) -> None:
    try:
        os.dup2(ready, 0)
        kernel.close_range(
            1
        )  # readers that wait for its parent's sockets to close must not wait for it
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(0, b".")
        signal.pause()
    finally:
        os._exit(1)


def exchange_map(owner: int, user: int) -> str:
    """Return an id map (man 7 user_namespaces) that swaps two ids and keeps all others."""
    low, high = sorted((owner, user))
    if low == high:
        return f"0 0 {_IDS}\n"
    extents = [(0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1)]
    extents.append((high + 1, high + 1, _IDS - high - 1))
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in extents if count)
