"""Build the file systems that a dyno sees, in a mount namespace of its own.

Everything is made on memory file systems beneath one folder of the host, which
stays empty for everybody else: nothing has to be removed afterwards. The root
is a read-only overlay of a few own files above the stack, /app an overlay of
memory above the unpacked slug.
"""

from __future__ import annotations

import errno
import os
import signal
import stat
from contextlib import suppress

from hsup_driver_libcontainer.child import kernel, users
from hsup_driver_libcontainer.child.kernel import (
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
)
from hsup_driver_libcontainer.child.paths import resolve
from hsup_driver_libcontainer.child.plan import BindMount, Plan
from hsup_driver_libcontainer.child.processes import pid_of

_SAFE = MS_NOSUID | MS_NODEV
_SAFEST = _SAFE | MS_NOEXEC

#: There is no user -1.
_IDS = (1 << 32) - 1

#: Folders that a dyno has whatever its stack has.
_MOUNT_POINTS = ("app", "dev", "etc", "proc", "sys", "tmp", "var/tmp")

#: Major and minor numbers, from the kernel's admin-guide/devices.txt.
_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}

#: Of the 4096 that all dynos share (kernel.pty.max).
_MOST_TERMINALS = 256

#: What of /proc and /sys is hidden and what is read-only: as Docker has it.
_MASKED = (
    "proc/acpi",
    "proc/asound",
    "proc/interrupts",
    "proc/kcore",
    "proc/keys",
    "proc/latency_stats",
    "proc/sched_debug",
    "proc/scsi",
    "proc/timer_list",
    "proc/timer_stats",
    "sys/devices/virtual/powercap",
    "sys/firmware",
)
_READ_ONLY = ("proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger")


class RootFilesystem:
    """The root of a dyno, from an empty folder of the host to the dyno's `/`."""

    def __init__(self, plan: Plan, uid: int, stage: str, owner: Owner) -> None:
        self._plan = plan
        self._uid = uid
        self._owner = owner
        self._stage = stage
        self._root = f"{stage}/root"
        self._trees: list[tuple[BindMount, int, bool]] = []
        self.has_copied_owner = False

    def build(self) -> None:
        """Mount everything, and change to it."""
        # What the host mounts below a bound folder later is not to arrive, see `_open_binds`.
        kernel.mount("none", "/", flags=MS_REC | MS_PRIVATE)
        self._mount_root()
        self._mount("proc", "proc", "proc", _SAFEST)
        self._open_binds()
        self._mount_devices()
        self._mount_scratch()
        self._mount_sys()
        self._hide()
        self._mount_app()
        self._pivot()
        self._attach_binds()

    def _mount_sys(self) -> None:
        self._mount("sysfs", "sys", "sysfs", _SAFEST)
        cgroups = f"{self._root}/sys/fs/cgroup"
        kernel.mount("tmpfs", cgroups, "tmpfs", _SAFEST, "size=64k,mode=755")
        for folder, place in self._plan.cgroup_binds:
            target = f"{cgroups}/{place}".rstrip("/")
            os.makedirs(target, exist_ok=True)
            kernel.mount(folder, target, flags=MS_BIND)
            _make_read_only(target, _SAFEST)
        for place, content in self._plan.cgroup_files:
            path = f"{cgroups}/{place}"
            os.makedirs(os.path.dirname(path), exist_ok=True)
            kernel.mount("tmpfs", os.path.dirname(path), "tmpfs", _SAFEST, "size=64k,mode=755")
            _write(path, content)
            _make_read_only(os.path.dirname(path), _SAFEST)
        _make_read_only(cgroups, _SAFEST)
        _make_read_only(f"{self._root}/sys", _SAFEST)

    def _mount(self, source: str, where: str, kind: str, flags: int, data: str = "") -> None:
        kernel.mount(source, f"{self._root}/{where}", kind, flags, data)

    def _mount_root(self) -> None:
        stage = self._stage
        kernel.mount("tmpfs", stage, "tmpfs", _SAFE, "mode=755")
        for folder in ("root", "slug", "scratch", *(f"files/{one}" for one in _MOUNT_POINTS)):
            os.makedirs(f"{stage}/{folder}")
        own_users = users.files(self._plan.stack, self._uid)
        for path, content in {**self._plan.files, **own_users}.items():
            os.makedirs(os.path.dirname(f"{stage}/files{path}"), exist_ok=True)
            _write(f"{stage}/files{path}", content)
        for bind in self._plan.binds:
            self._make_target(bind)
        layers = f"lowerdir={stage}/files:{self._plan.stack}"
        kernel.mount("overlay", self._root, "overlay", _SAFE | MS_RDONLY, layers)

    def _make_target(self, bind: BindMount) -> None:
        """Make the place of a bind in the layer above the stack, unless it is in /app or /tmp."""
        target = resolve(self._plan.stack, bind.dyno)
        if not _is_writable(target):
            _make_place(f"{self._stage}/files{target}", is_folder=os.path.isdir(bind.host))

    def _open_binds(self) -> None:
        """Copy what is mounted at each host path and below it now, without set-id and devices."""
        for bind in self._plan.binds:
            flags = kernel.OPEN_TREE_CLONE | kernel.OPEN_TREE_CLOEXEC | kernel.AT_RECURSIVE
            tree = kernel.open_tree(bind.host, flags)
            attributes = kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
            if bind.read_only:
                attributes |= kernel.MOUNT_ATTR_RDONLY
            has_attributes = True
            try:
                kernel.mount_setattr(tree, attributes, flags=kernel.AT_RECURSIVE)
            except OSError as error:
                if error.errno != errno.ENOSYS:
                    raise
                # Before Linux 5.12 what is mounted below a folder stays outside.
                has_attributes = False
                os.close(tree)
                tree = kernel.open_tree(bind.host, flags & ~kernel.AT_RECURSIVE)
            self._trees.append((bind, tree, has_attributes))

    def _attach_binds(self) -> None:
        """Attach what was opened; links in a path lead no further than the dyno's root by now."""
        for bind, tree, has_attributes in self._trees:
            target = os.path.realpath(bind.dyno)
            is_folder = stat.S_ISDIR(os.fstat(tree).st_mode)
            if _is_writable(target):
                _make_place(target, is_folder=is_folder, owner=self._uid)
            if is_folder != os.path.isdir(target):
                kinds = ("a folder", "a file") if is_folder else ("a file", "a folder")
                text = f"cannot bind {bind.host}: that is {kinds[0]}, and this {kinds[1]}"
                raise OSError(errno.EINVAL, text, bind.dyno)
            kernel.move_mount(tree, target)
            if not has_attributes:
                flags = MS_REMOUNT | MS_BIND | _SAFE | (MS_RDONLY if bind.read_only else 0)
                kernel.mount("none", target, flags=flags)
            os.close(tree)

    def _mount_devices(self) -> None:
        self._mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=755")
        dev = f"{self._root}/dev"
        for name, (major, minor) in _DEVICES.items():
            os.mknod(f"{dev}/{name}", stat.S_IFCHR, os.makedev(major, minor))
            os.chmod(f"{dev}/{name}", 0o666)  # noqa: S103 - as everywhere
        for name, target in _LINKS.items():
            os.symlink(target, f"{dev}/{name}")
        for name in ("pts", "shm", "mqueue"):
            os.mkdir(f"{dev}/{name}")
        modes = f"newinstance,ptmxmode=0666,mode=0620,max={_MOST_TERMINALS}"
        self._mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, modes)
        self._mount("mqueue", "dev/mqueue", "mqueue", _SAFEST)

    def _mount_scratch(self) -> None:
        for where in ("dev/shm", "tmp", "var/tmp"):
            self._mount(
                "tmpfs", where, "tmpfs", _SAFE, f"size={self._plan.scratch_bytes},mode=1777"
            )

    def _mount_app(self) -> None:
        plan = self._plan
        size = f"size={plan.scratch_bytes},mode=755"
        if plan.app is None:
            self._owner.end()
            own = f"{size},uid={self._uid},gid={self._uid}"
            self._mount("tmpfs", "app", "tmpfs", _SAFE, own)
            return
        scratch = f"{self._stage}/scratch"
        kernel.mount("tmpfs", scratch, "tmpfs", _SAFE, size)
        for name in ("upper", "work"):
            os.mkdir(f"{scratch}/{name}")
            os.chown(f"{scratch}/{name}", self._uid, self._uid)
        lower = f"{self._stage}/slug"
        layers = f"lowerdir={lower},upperdir={scratch}/upper,workdir={scratch}/work"
        if self._owner.attach(plan.app, lower):
            try:
                self._mount("overlay", "app", "overlay", _SAFE, layers)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                kernel.umount(lower)  # before Linux 5.19 no layer can be idmapped
                kernel.mount(_path_of(plan.app), lower, flags=MS_BIND)
                _require_same(plan.app, os.stat(lower))
            else:
                return
        self._mount("overlay", "app", "overlay", _SAFE, f"{layers},metacopy=on")
        _give_all(f"{self._root}/app", os.stat(lower).st_uid, self._uid)
        self.has_copied_owner = True

    def _hide(self) -> None:
        root = self._root
        for path in _MASKED:
            target = f"{root}/{path}"
            if os.path.isdir(target):
                kernel.mount("tmpfs", target, "tmpfs", _SAFEST | MS_RDONLY, "size=0k")
            elif os.path.exists(target):
                kernel.mount(f"{root}/dev/null", target, flags=MS_BIND)
        for path in _READ_ONLY:
            target = f"{root}/{path}"
            if os.path.exists(target):
                kernel.mount(target, target, flags=MS_BIND | MS_REC)
                _make_read_only(target, _SAFEST)

    def _pivot(self) -> None:
        os.chdir(self._root)
        kernel.pivot_root(".", ".")
        kernel.umount(".", kernel.MNT_DETACH)
        os.chdir("/")


class Owner:
    """Makes the dyno's user the owner of the slug, without touching its files.

    An idmapped mount (man 2 mount_setattr, Linux 5.19 beneath an overlay) shows
    the files of the folder's owner as the dyno's. It takes a user namespace,
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

    def end(self) -> None:
        """End the child."""
        os.close(self._process)
        os.kill(self._child, signal.SIGKILL)

    def reap(self) -> None:
        """Wait for the child's end, so that it is not the program's."""
        os.waitpid(self._child, 0)

    def attach(self, folder: str, target: str) -> bool:
        """Attach a folder at a target; tell whether the dyno's user owns it there."""
        flags = kernel.OPEN_TREE_CLONE | kernel.OPEN_TREE_CLOEXEC
        tree = kernel.open_tree(_path_of(folder), flags)
        _require_same(folder, os.fstat(tree))
        is_owned = self._own(tree)
        kernel.move_mount(tree, target)
        os.close(tree)
        return is_owned

    def _own(self, tree: int) -> bool:
        """Make the dyno's user the owner of a mount; tell whether that can be done here."""
        is_there = os.read(self._ready, 1)
        os.close(self._ready)
        if not is_there:  # user.max_user_namespaces is 0
            self.end()
            return False
        namespace = self._user_namespace(os.fstat(tree))
        attributes = kernel.MOUNT_ATTR_IDMAP | kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV
        try:
            kernel.mount_setattr(tree, attributes, namespace)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
                raise
            return False
        finally:
            os.close(namespace)
        return True

    def _user_namespace(self, owner: os.stat_result) -> int:
        for name, own in (("uid_map", owner.st_uid), ("gid_map", owner.st_gid)):
            file = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self._process)
            os.write(file, exchange_map(own, self._uid).encode())
            os.close(file)
        flags = os.O_RDONLY | os.O_CLOEXEC
        namespace = os.open("ns/user", flags, dir_fd=self._process)
        self.end()
        return namespace


def _path_of(folder: str) -> str:
    """Return where a folder is now, which may be one that hsup has open (hsup.slugs.Unpacked).

    Of another mount namespace than one's own, nothing can be mounted but by its path.
    """
    is_open = folder.startswith("/proc/") and os.path.islink(folder)
    return os.readlink(folder) if is_open else folder


def _require_same(folder: str, found: os.stat_result) -> None:
    """Raise OSError where something else has come to have the path of a folder."""
    if not os.path.samestat(os.stat(folder), found):
        raise OSError(errno.ESTALE, "it was replaced just now", _path_of(folder))


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


def _is_writable(path: str) -> bool:
    return path.startswith(("/app/", "/tmp/", "/var/tmp/", "/dev/"))  # noqa: S108 - the dyno's own


def _make_place(path: str, *, is_folder: bool, owner: int = 0) -> None:
    """Make a folder or an empty file for something to be mounted on, and what it is in."""
    if os.path.exists(path):
        return
    _make_place(os.path.dirname(path), is_folder=True, owner=owner)
    if is_folder:
        os.mkdir(path)
    else:
        _write(path, "")
    os.chown(path, owner, owner)


def _write(path: str, content: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)


def _give_all(folder: str, owner: int, uid: int) -> None:
    """Give a user what belongs to an owner, as a mount with an id map shows it."""
    for _, folders, files, here in os.fwalk(folder):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):  # a folder of the host's may change meanwhile
                if os.stat(name, dir_fd=here, follow_symlinks=False).st_uid == owner:
                    os.chown(name, uid, uid, dir_fd=here, follow_symlinks=False)


def _make_read_only(target: str, flags: int) -> None:
    """Make a mount read-only: MS_RDONLY in the call that binds does not."""
    kernel.mount("none", target, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | flags)
