"""A Debian with systemd as process 1, in a container, where packages are installed."""

from __future__ import annotations

import shlex
from pathlib import Path

from ftest.image.engine import docker
from ftest.program import Finished, eventually

#: Where packages and the stack of dynos are in the machine.
PACKAGES, STACK = "/packages", "/stack"
#: What systemd asks for: https://systemd.io/CONTAINER_INTERFACE
_SYSTEMD = ("--privileged", "--cgroupns", "private", "--env", "container=docker")
#: From version 256 on, it has to be forced to run on a machine with cgroups version 1.
_INIT = ("/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1")
_IN_MEMORY = ("--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp")
#: What every call of apt-get, systemd and man leaves.
_OF_OTHERS = (
    *("/var/lib/dpkg", "/var/lib/apt", "/var/lib/systemd", "/var/cache", "/var/log"),
    *("/etc/.updated", "/var/.updated"),
)


class Machine:
    """A machine that boots when it is made."""

    def __init__(self, image: str, name: str, packages: Path, stack: Path) -> None:
        self.name = name
        volumes = (f"{packages}:{PACKAGES}:ro", f"{stack}:{STACK}:ro", "/var/lib/hsup")
        options = (*_SYSTEMD, *_IN_MEMORY, *(word for one in volumes for word in ("--volume", one)))
        docker("run", "--detach", "--name", name, *options, image, *_INIT, check=True)
        booted = "systemctl is-system-running | grep -E 'running|degraded'"
        assert eventually(lambda: not self.tried(booted).status)

    def tried(self, line: str) -> Finished:
        """Run a line of shell as root."""
        return docker("exec", self.name, "sh", "-c", line, timeout=120)

    def run(self, line: str) -> str:
        """Run a line of shell that must succeed, and return what it prints."""
        done = self.tried(line)
        assert not done.status, f"{line}\n{done.text}{done.message}"
        return done.text.strip()

    def write(self, path: str, content: str) -> None:
        directory = path.rpartition("/")[0]
        self.run(f"mkdir -p {directory}; printf %s {shlex.quote(content)} >{path}.written")
        self.run(f"mv {path}.written {path}")

    def install(self, package: Path) -> str:
        return self.run(
            "LC_ALL=C.UTF-8 apt-get install -y --reinstall --allow-downgrades"
            f" {PACKAGES}/{package.name} 2>&1"
        )

    def pid(self, unit: str) -> int:
        """Return the id of the main process of a unit, 0 if it has none."""
        return int(self.run(f"systemctl show -p MainPID --value {unit}"))

    def command(self, pid: int) -> str:
        return self.run(f"tr '\\0' ' ' </proc/{pid}/cmdline")

    def sleeper(self, seconds: str, other_than: int = 0) -> int:
        """Return the id of the process that sleeps so long, once there is one."""
        found: list[int] = []

        def is_there() -> bool:
            found[:] = map(int, self.tried(f"pgrep -xf 'sleep {seconds}'").text.split())
            return bool(found) and other_than not in found

        assert eventually(is_there), self.log()
        (pid,) = found
        return pid

    def running(self) -> str:
        """Return the processes of hsup, and those that sleep; not the shell that looks for them."""
        return self.tried("pgrep -af '[h]sup|[s]leep'").text

    def log(self) -> str:
        return self.run("journalctl --no-pager")

    def changes(self) -> set[str]:
        """Return the paths that the machine has, and the image has not."""
        lines = docker("diff", self.name, check=True).text.splitlines()
        added = {path for kind, path in (line.split(" ", 1) for line in lines) if kind == "A"}
        return {path for path in added if not path.startswith(_OF_OTHERS)}

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name, check=True)
