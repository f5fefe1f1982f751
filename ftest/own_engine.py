"""A Docker Engine of a test's own, to be stopped, killed and started again."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ftest.docker_engine import docker
from ftest.program import PATIENCE, eventually

_START_SECONDS = 30.0
_GATEWAY = "10.214.77.1/24"
#: What of a stack no test with an engine of its own needs.
_UNNEEDED = ("usr/share", "usr/lib/python3*", "var/cache", "var/lib/apt", "usr/lib/*/perl*")


#: Orphans become this process's children, so that containerd is not a zombie for ever
#: where process 1 reaps nobody (man 2 PR_SET_CHILD_SUBREAPER).
_PR_SET_CHILD_SUBREAPER = 36


class OwnEngine:
    """An engine with a network of its own that leads nowhere, and its data in memory.

    `size` is that of its file system. `prefix` is what runs a command in namespaces of
    another network and other mounts, if it is to be there.
    """

    def __init__(self, size: str, options: Sequence[str] = (), prefix: Sequence[str] = ()) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="hsup-engine-", dir="/run"))
        self.host = f"unix://{self.directory}/docker.sock"
        self.environ = {**os.environ, "DOCKER_HOST": self.host}
        self._options = options
        self._prefix = prefix
        self._bridge = f"hse{os.getpid()}"
        for words in (
            ("link", "add", self._bridge, "type", "bridge"),
            ("address", "add", _GATEWAY, "dev", self._bridge),
            ("link", "set", self._bridge, "up"),
        ):
            subprocess.run((*prefix, "ip", *words), check=True)
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        (self.directory / "data").mkdir()
        mount = ("mount", "-t", "tmpfs", "-o", f"size={size}", "hsup", self.directory / "data")
        subprocess.run((*prefix, *mount), check=True)
        self._log = (self.directory / "log").open("ab")
        self.start()

    def start(self) -> None:
        """Return when the engine answers."""
        words = [*self._prefix, "dockerd", "--host", self.host]
        words += ["--data-root", f"{self.directory}/data", "--exec-root", f"{self.directory}/exec"]
        words += ["--pidfile", f"{self.directory}/pid"]
        words += ["--bridge", self._bridge, "--iptables=false", "--ip6tables=false"]
        words += ["--exec-opt", "native.cgroupdriver=cgroupfs"]
        words += ["--cgroup-parent", f"/{self.directory.name}", "--shutdown-timeout", "2"]
        words += self._options
        self._process = subprocess.Popen(words, stdout=self._log, stderr=self._log)
        assert eventually(self._answers, _START_SECONDS), self._last_words()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the engine; what it runs may run on."""
        own = self.directory / "exec/containerd/containerd.pid"  # unless one is a service
        containerd = int(own.read_text()) if own.exists() else None
        self._process.send_signal(number)
        self._process.wait(_START_SECONDS * PATIENCE)
        if number == signal.SIGKILL and containerd is not None:  # which containerd gets with it
            assert eventually(lambda: os.waitpid(containerd, os.WNOHANG) != (0, 0))

    def send(self, number: int) -> None:
        """Send the engine a signal."""
        self._process.send_signal(number)

    def repair(self) -> None:
        """Have the engine answer again, whatever was done to it."""
        self._process.send_signal(signal.SIGCONT)
        if not self._answers():
            if self._process.poll() is None:
                self.stop()
            self.start()

    def load(self, stack: Path, image: str) -> None:
        """Make an image of a stack's directory, of as little of it as the tests use."""
        excluded = [f"--exclude=./{one}" for one in _UNNEEDED]
        pack = ["tar", "-C", str(stack), *excluded, "-c", "."]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as archive:
            docker("import", "-", image, stdin=archive.stdout, env=self.environ)

    def containers(self) -> list[str]:
        """Return the names of all containers that are there."""
        return docker("ps", "--all", "--format", "{{.Names}}", env=self.environ).split()

    def remove(self) -> None:
        """Leave nothing of the engine, nor of what it ran."""
        is_empty = True
        if self._process.poll() is None:
            for name in self.containers():  # some of which are being removed
                words = ("docker", "rm", "--force", name)
                subprocess.run(words, env=self.environ, capture_output=True, check=False)
            is_empty = eventually(lambda: not self.containers())
            self.stop()
        self._log.close()
        self._end_others()
        for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(str(self.directory)):
                subprocess.run(("umount", "-l", place), check=True)
        subprocess.run(("rm", "-rf", "--one-file-system", self.directory), check=True)
        subprocess.run((*self._prefix, "ip", "link", "delete", self._bridge), check=True)
        root = Path("/sys/fs/cgroup")
        for cgroup in (*root.glob(self.directory.name), *root.glob(f"*/{self.directory.name}")):
            for inner in (*cgroup.glob("*/"), cgroup):
                assert eventually(partial(_is_removed, inner)), f"{inner} is in use"
        assert is_empty

    def _last_words(self) -> str:
        return "\n".join((self.directory / "log").read_text().splitlines()[-5:])

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["docker", "version"], capture_output=True, env=self.environ, check=False
        )
        return asked.returncode == 0

    def _end_others(self) -> None:
        """End containerd and shims of an engine that was killed; they have our directory's name."""
        mark = os.fsencode(f"{self.directory}/")
        for _ in range(50):
            pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_ours(pid, mark)]
            if not pids:
                return
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.1)


def _is_removed(cgroup: Path) -> bool:
    try:
        cgroup.rmdir()
    except OSError:
        return not cgroup.exists()
    return True


def _is_ours(pid: str, mark: bytes) -> bool:
    try:
        return mark in Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return False
