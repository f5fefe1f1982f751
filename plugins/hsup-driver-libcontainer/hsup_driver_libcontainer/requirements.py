"""Look for what the driver needs of this machine besides cgroups, network and seccomp."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from hsup.api import Finding

#: nftables' iif in postrouting came with 5.7, close_range with 5.9; 5.10 is a long-term kernel.
_OLDEST_KERNEL = (5, 10)
#: For idmapped mounts beneath an overlay.
_KERNEL_WITHOUT_COPIES = (5, 19)
#: By their numbers in linux/capability.h.
_CAPABILITIES = {
    "chown": 0,
    "dac_override": 1,
    "fowner": 3,
    "kill": 5,
    "setgid": 6,
    "setuid": 7,
    "setpcap": 8,
    "net_admin": 12,
    "sys_admin": 21,
    "mknod": 27,
}
#: What follows if the mount of a slug cannot be idmapped.
COPIES = "each start has to change the owner of every file in the slug, which is slow"
_MACHINES = ("x86_64", "aarch64")
#: The files that Docker and Podman put into the root of a container.
_MARKS_OF_CONTAINERS = (".dockerenv", "run/.containerenv")
_NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")


def examine() -> Sequence[Finding]:
    """Look at user, kernel, namespaces and file systems; change nothing."""
    return [
        _root(),
        _capabilities(),
        _kernel(),
        _host(),
        _namespaces(),
        _user_namespaces(),
        _overlay(),
    ]


def _root() -> Finding:
    if os.geteuid() == 0:
        return Finding("user", is_good=True, text="root")
    text = f"the libcontainer driver needs root, but hsup runs as user {os.geteuid()}"
    return Finding("user", is_good=False, text=text, remedy=how_to_get_rights())


def _capabilities() -> Finding:
    """Look for the capabilities that root needs, and lacks in an ordinary container."""
    with open("/proc/self/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    effective = int(status["CapEff"], 16)
    missing = [name for name, number in _CAPABILITIES.items() if not effective & 1 << number]
    if not missing:
        return Finding("capabilities", is_good=True, text="all that the driver needs")
    text = f"the libcontainer driver needs the capabilities {', '.join(missing)}"
    return Finding("capabilities", is_good=False, text=text, remedy=how_to_get_rights())


def is_container(root: str = "/") -> bool:
    """Tell whether this is a container of Docker or Podman."""
    return any(os.path.exists(os.path.join(root, mark)) for mark in _MARKS_OF_CONTAINERS)


def how_to_get_rights(root: str = "/") -> str:
    """Return how to get the missing rights; a container gets them from the caller of docker run."""
    if is_container(root):
        return "start this container as root with docker run --privileged"
    return "run hsup with sudo"


def how_to_install(*packages: str) -> str:
    """Return how to install packages, by their names in Debian."""
    it, package = ("them", "packages") if len(packages) > 1 else ("it", "package")
    names = " ".join(packages)
    return f"install {it}: apt-get install {names}, or your system's {package} of {it}"


def _kernel() -> Finding:
    release, version = os.uname().release, _version()
    if version < _OLDEST_KERNEL:
        text = f"the libcontainer driver needs Linux 5.10 or later, but this is {release}"
        return Finding("kernel", is_good=False, text=text, remedy="upgrade the kernel")
    text = f"Linux {release}"
    if version < _KERNEL_WITHOUT_COPIES:
        text += f"; before 5.19, {COPIES}"
    return Finding("kernel", is_good=True, text=text)


def _version() -> tuple[int, ...]:
    match = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return tuple(map(int, match.groups())) if match else (0, 0)


def _host() -> Finding:
    machine = os.uname().machine
    if machine in _MACHINES:
        return Finding("machine", is_good=True, text=machine)
    text = f"the libcontainer driver supports {' and '.join(_MACHINES)}, but this is {machine}"
    return Finding("machine", is_good=False, text=text, remedy="use another driver")


def _namespaces() -> Finding:
    missing = [name for name in _NAMESPACES if not os.path.exists(f"/proc/self/ns/{name}")]
    if not missing:
        return Finding("namespaces", is_good=True, text=", ".join(_NAMESPACES))
    text = f"the kernel does not support these namespaces: {', '.join(missing)}"
    remedy = "use a kernel built with CONFIG_NAMESPACES"
    return Finding("namespaces", is_good=False, text=text, remedy=remedy)


def _user_namespaces() -> Finding:
    """Look whether the kernel allows user namespaces, which idmapped mounts need.

    Dynos run without them, too.
    """
    most = _most_user_namespaces()
    text = "allowed" if most else f"user.max_user_namespaces is 0, so {COPIES}"
    if most is None:
        text = f"the kernel does not support them (CONFIG_USER_NS), so {COPIES}"
    return Finding("user namespaces", is_good=bool(most), text=text)


def _most_user_namespaces() -> int | None:
    try:
        with open("/proc/sys/user/max_user_namespaces", encoding="ascii") as file:
            return int(file.read())
    except FileNotFoundError:
        return None


def may_map_ids() -> bool:
    """Tell whether the kernel can idmap the mount of a slug; its file system may still refuse."""
    return _version() >= _KERNEL_WITHOUT_COPIES and bool(_most_user_namespaces())


def _overlay() -> Finding:
    with open("/proc/filesystems", encoding="ascii") as file:
        kinds = {line.split()[-1] for line in file}
    if "overlay" in kinds or _module_exists("overlay"):
        return Finding("overlayfs", is_good=True, text="available")
    text = "the kernel does not support overlay file systems"
    return Finding("overlayfs", is_good=False, text=text, remedy="run modprobe overlay")


def _module_exists(name: str) -> bool:
    return os.path.isdir(f"/lib/modules/{os.uname().release}/kernel/fs/{name}fs")
