"""Show the files of a slug as the dyno's, where kernel and file system know idmapped mounts."""

from __future__ import annotations

import errno
import os
import signal

from hsup_driver_libcontainer.child import kernel
from hsup_driver_libcontainer.child.processes import pid_of

#: What mount_setattr says where it maps no ids: to a file system, to all, or in a sandbox.
_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EPERM)

#: There is no user -1.
_IDS = (1 << 32) - 1


class Owner:
    """Makes the dyno's user the owner of the slug, without touching its files.

    An idmapped mount (man 2 mount_setattr, Linux 5.19 beneath an overlay) shows
    the files of the directory's owner as the dyno's. It takes a user namespace,
    which a short-lived child provides while other things are done. To be made
    while /proc is still the host's.
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
        """Make the dyno's user the owner of a mount; once.

        Raises OSError(EOPNOTSUPP) where kernel or file system knows no idmapped mounts.
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
        """End the child; nothing if that was done."""
        if self._process >= 0:
            os.close(self._process)
            self._process = -1
            os.kill(self._child, signal.SIGKILL)

    def reap(self) -> None:
        """Wait for the child's end, so that it is not the program's."""
        os.waitpid(self._child, 0)

    def _user_namespace(self, owner: os.stat_result) -> int:
        """Return the namespace of the child, which nobody needs any more then."""
        is_there = os.read(self._ready, 1)
        os.close(self._ready)
        if not is_there:  # user.max_user_namespaces is 0
            raise OSError(errno.EOPNOTSUPP, "there are no user namespaces")
        for name, own in (("uid_map", owner.st_uid), ("gid_map", owner.st_gid)):
            file = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._process)
            os.write(file, exchange_map(own, self._uid).encode())
            os.close(file)
        flags = os.O_RDONLY | os.O_CLOEXEC
        namespace = os.open("ns/user", flags, dir_fd=self._process)
        self.end()
        return namespace


def _open_process(pid: int) -> int:
    """Return the folder of a process in the host's /proc, where it has another pid."""
    pidfd = os.pidfd_open(pid)
    path = f"/proc/{pid_of(pidfd)}"
    os.close(pidfd)
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _hold_user_namespace(ready: int) -> None:
    try:
        os.dup2(ready, 0)
        kernel.close_range(1)  # who waits for the end of its parent's sockets waits not for this
        kernel.unshare(kernel.CLONE_NEWUSER)
        os.write(0, b".")
        signal.pause()
    finally:
        os._exit(1)


def exchange_map(owner: int, user: int) -> str:
    """Return an id map (man 7 user_namespaces) that exchanges two ids and keeps all others."""
    low, high = sorted((owner, user))
    if low == high:
        return f"0 0 {_IDS}\n"
    extents = [(0, 0, low), (low, high, 1), (low + 1, low + 1, high - low - 1), (high, low, 1)]
    extents.append((high + 1, high + 1, _IDS - high - 1))
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in extents if count)
