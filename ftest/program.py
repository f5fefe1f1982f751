"""The installed hsup program, as a test calls it from outside."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ftest import docker_engine

#: How much longer everything may take than on a machine with processors of its own.
PATIENCE = float(os.environ.get("FTEST_PATIENCE", "1"))
#: For what comes at once: shorter than the usual grace of 30 s, and as long as a busy machine may
#: take.
WAIT_SECONDS = 25.0
_LOOK_SECONDS = 0.005

#: What hsup says of the processes that a killed hsup left. Whichever starts next ends and names
#: them: where tests run side by side, also those of another test.
_LEFT_BESIDE = re.compile(
    rb"^hsup: removed a leftover of a previous hsup: process .*\n", re.MULTILINE
)

#: The stack of every test: the one that the example of the manual names.
STACK = "cedar-14"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a call of hsup ended, and what it wrote."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        """Return the standard output as text."""
        return self.out.decode(errors="replace")

    @property
    def message(self) -> str:
        """Return the standard error as text."""
        return self.err.decode(errors="replace")


class Hsup:
    """The program with a directory and a clean environment of one test's own.

    `token` is in the environment of hsup and, as the number of seconds of
    `sleep`, in the argv of what dynos run: nothing of a test can hide.
    `variables` are what the driver needs on this machine. `has_containers`
    tells whether a dyno has a root, a network and a terminal of its own.
    """

    def __init__(
        self, path: Path, driver: str, directory: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.driver = driver
        self.directory = directory
        self.variables = variables or {}
        self.has_containers = driver != "simple"
        self.control = directory / "control"
        self.token = f"{random.randint(20_000, 99_999)}.{random.randint(10**6, 10**7 - 1)}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "FTEST_TOKEN": self.token,
            "HSUP_PROCFILE_DIR": f"{directory}.kept",
            **self.variables,
        }
        self.started: list[Running] = []

    @property
    def home(self) -> str:
        """Return the directory that a dyno runs in, as the dyno sees it."""
        return "/app" if self.has_containers else str(self.directory)

    @property
    def python(self) -> str:
        """Return a Python that a dyno can execute."""
        return "python3" if self.has_containers else sys.executable

    @property
    def sleep(self) -> str:
        """Return a command that lasts longer than any test."""
        return f"sleep {self.token}"

    @property
    def born(self) -> str:
        """Return a shell line that says that it was started, then only sleeps."""
        return f"echo born; exec {self.sleep}"

    def procfile(self, **commands: str) -> None:
        """Write a Procfile into the directory."""
        lines = "".join(f"{name}: {command}\n" for name, command in commands.items())
        replace(self.directory / "Procfile", lines)

    def release(self, **content: object) -> None:
        """Put a release into the control directory, as a careful writer does."""
        self.environ["HSUP_CONTROL_DIR"] = str(self.control)
        self.control.mkdir(exist_ok=True)
        replace(self.control / "new", json.dumps({"Version": 1, **content}))

    def files(self, files: Mapping[str, str], directory: Path | None = None) -> None:
        """Write files of the application, all of them executable, into the directory."""
        for name, content in files.items():
            path = (directory or self.directory) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            path.chmod(0o755)

    def slug(self, name: str, files: Mapping[str, str] | None = None) -> Path:
        """Write a slug with these files into the directory, compressed as its name says."""
        root = self.directory / f"{name}.root"
        (root / "app").mkdir(parents=True)
        self.files(files or {}, root / "app")
        slug = self.directory / name
        subprocess.run(["tar", "--auto-compress", "-cf", slug, "-C", root, "./app"], check=True)
        shutil.rmtree(root)
        return slug

    def words(self, *words: str) -> list[str]:
        """Return the argv of a call."""
        return [str(self.path), "--driver", self.driver, *words]

    def call(
        self,
        *words: str,
        stdin: bytes = b"",
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        timeout: float = 30.0,
    ) -> Finished:
        """Run hsup to its end."""
        done = subprocess.run(
            [*prefix, *self.words(*words)],
            input=stdin,
            capture_output=True,
            cwd=self.directory,
            env={**self.environ, **(env or {})},
            timeout=timeout * PATIENCE,
            check=False,
        )
        status, err = _shell_status(done.returncode), _LEFT_BESIDE.sub(b"", done.stderr)
        return Finished(status=status, out=done.stdout, err=err)

    def begin(
        self, *words: str, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> Running:
        """Start hsup beside the test; the fixture ends it if the test does not."""
        child = subprocess.Popen(
            [*prefix, *self.words(*words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env={**self.environ, **(env or {})},
        )
        self.started.append(Running(child))
        return self.started[-1]

    def start(self, *words: str) -> Running:
        """Start `hsup start` beside the test."""
        return self.begin("start", *words)

    def another(self, directory: Path) -> Hsup:
        """Return the same program with another directory and environment."""
        return Hsup(self.path, self.driver, directory, self.variables)

    def processes(self) -> dict[int, str]:
        """Return the command line of every live process of this test, by its id."""
        seen = {pid: one for pid in _live_pids() if (one := _Process.of(pid))}
        ours = {pid for pid, one in seen.items() if one.is_of(self.token, self.directory)}
        while children := {pid for pid, one in seen.items() if one.parent in ours} - ours:
            ours |= children
        return {pid: seen[pid].command for pid in ours}

    def sleepers(self, count: int = 1) -> set[int]:
        """Return the ids of the processes that are in `sleep`, when there are so many."""
        found: set[int] = set()

        def are_enough() -> bool:
            nonlocal found
            found = {pid for pid, line in self.processes().items() if line.startswith("sleep ")}
            return len(found) >= count

        assert eventually(are_enough), f"fewer than {count} sleep: {self.processes()}"
        return found

    def inside(self, dyno: str) -> list[int]:
        """Return the ids of the processes that have the name of a dyno, when there is one."""
        mark = f"DYNO={dyno}".encode()
        found: list[int] = []

        def is_any() -> bool:
            nonlocal found
            seen = {pid: _Process.of(pid) for pid in self.processes()}
            found = [pid for pid, one in seen.items() if one and mark in one.environ.split(b"\0")]
            return bool(found)

        assert eventually(is_any), f"no process has the name {dyno}: {self.processes()}"
        return found

    def place(self, dyno: str, port: int) -> str:
        """Return the host and the port at which the only dyno of a name is reached."""
        if self.driver == "docker":
            return docker_engine.published(dyno)
        return f"{self.address(dyno)}:{port}"

    def addresses(self, dyno: str) -> set[str]:
        """Return the addresses of the dynos of a name, which have networks of their own."""
        return {_address(pid) for pid in self.inside(dyno)}

    def address(self, dyno: str) -> str:
        """Return the address of the only dyno of a name."""
        (address,) = self.addresses(dyno)
        return address


class Running:
    """An hsup that runs beside the test."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self.child = child
        assert child.stdin is not None
        self.stdin = child.stdin
        self._out = _Collector(child.stdout)
        self._err = _Collector(child.stderr)

    @property
    def out(self) -> str:
        """Return the standard output so far."""
        return self._out.text

    @property
    def err(self) -> str:
        """Return the standard error so far."""
        return self._err.text

    @property
    def said(self) -> str:
        """Return all that was written so far, the standard output first."""
        return self.out + self.err

    def wait_for(self, pattern: str, count: int = 1, timeout: float = WAIT_SECONDS) -> list[str]:
        """Return the first `count` places of either stream that match the pattern."""
        search = re.compile(pattern, re.MULTILINE)

        def enough() -> bool:
            return len(search.findall(self.said)) >= count

        self._until(enough, f"{pattern!r} ({count} times)", timeout)
        return [found.group() for found in search.finditer(self.said)][:count]

    def count(self, pattern: str) -> int:
        """Return how often a pattern is in what was written so far."""
        return len(re.findall(pattern, self.said, re.MULTILINE))

    def times(self, pattern: str) -> list[float]:
        """Return when the lines that match were written, by their own account."""
        lines = [line for line in self.out.splitlines() if re.search(pattern, line)]
        return [datetime.fromisoformat(line.split(" ", 1)[0]).timestamp() for line in lines]

    def pauses(self, dyno: str) -> list[float]:
        """Return how long a dyno was down each time before it was started again."""
        name = re.escape(f"heroku[{dyno}]")
        crashed = self.times(rf"{name}: State changed from (up|starting) to crashed")
        begun = self.times(rf"{name}: Starting process")
        return [after - before for before, after in zip(crashed, begun[1:], strict=False)]

    def ended(self, timeout: float = WAIT_SECONDS) -> int:
        """Return the status, as a shell has it, once hsup has ended."""
        self._until(lambda: self.child.poll() is not None, "the end of hsup", timeout)
        self._out.finish()
        self._err.finish()
        return _shell_status(self.child.wait())

    def send(self, number: int) -> None:
        """Send a signal to hsup."""
        self.child.send_signal(number)

    def send_twice(self, number: int) -> None:
        """Send a signal again as soon as hsup has taken it, so that the kernel makes them no one.

        That is well within the time in which hsup makes them one.
        """
        self.send(number)
        assert eventually(lambda: not _is_pending(self.child.pid, number)), "hsup takes no signal"
        self.send(number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = WAIT_SECONDS) -> int:
        """Send a signal to hsup, and return the status that it ends with."""
        self.send(number)
        return self.ended(timeout)

    def close(self) -> None:
        """Release what the test holds of an ended hsup."""
        self.stdin.close()
        self._out.finish()
        self._err.finish()

    def _until(self, true: Callable[[], bool], what: str, timeout: float) -> None:
        if not eventually(true, timeout):
            ended = "" if self.child.poll() is None else f" (it ended with {self.child.returncode})"
            raise AssertionError(
                f"no {what} from hsup within {timeout:g} s{ended}\n"
                f"--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"
            )


@dataclass
class _Collector:
    """Reads a stream to its end, in a thread, so that hsup never waits for the test."""

    stream: IO[bytes] | None
    chunks: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return b"".join(self.chunks).decode(errors="replace")

    def finish(self) -> None:
        """Return at the end of the stream, which an orphan may keep open for a while."""
        self._thread.join(timeout=2.0)
        if self.stream is not None and not self._thread.is_alive():
            self.stream.close()

    def _read(self) -> None:
        assert self.stream is not None
        while chunk := os.read(self.stream.fileno(), 1 << 20):
            self.chunks.append(chunk)


def _is_pending(pid: int, number: int) -> bool:
    """Tell whether a process has not taken a signal yet; see man 5 proc_pid_status."""
    status = Path(f"/proc/{pid}/status").read_text()
    masks = re.findall(r"^(?:SigPnd|ShdPnd):\t([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (number - 1) & 1 for mask in masks)


def eventually(true: Callable[[], object], timeout: float = WAIT_SECONDS) -> bool:
    """Tell whether something became true in time."""
    deadline = time.monotonic() + timeout * PATIENCE
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def replace(path: Path, content: str) -> None:
    """Write a file so that nobody sees half of it."""
    written = path.with_name(f"{path.name}.written")
    written.write_text(content)
    written.rename(path)


def process(name: object, *args: str, quantity: object = 1) -> dict[str, Any]:
    """Return one entry of `Processes` in a control file."""
    return {"Type": name, "Args": list(args), "Quantity": quantity}


@contextmanager
def touched(path: Path) -> Iterator[None]:
    """Change the times of a file all the time: whoever reads it cannot tell it by them later."""
    is_over = threading.Event()

    def touch() -> None:
        while not is_over.wait(0.01):
            os.utime(path)

    thread = threading.Thread(target=touch)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def json_lines(text: str) -> list[dict[str, Any]]:
    """Return what `--log-format json` wrote."""
    return [json.loads(line) for line in text.splitlines()]


def _shell_status(code: int) -> int:
    return code if code >= 0 else 128 - code


def _live_pids() -> Iterable[int]:
    pids = (int(one.name) for one in Path("/proc").iterdir() if one.name.isdigit())
    return (pid for pid in pids if pid != os.getpid())


def _address(pid: int) -> str:
    """Return the one address of the network that a process is in."""
    command = ["nsenter", f"--target={pid}", "--net"]
    command += ["ip", "-json", "-4", "address", "show", "scope", "global"]
    listed = subprocess.run(command, check=True, capture_output=True)
    (address,) = (one for link in json.loads(listed.stdout) for one in link["addr_info"])
    return str(address["local"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Process:
    """What the kernel tells of a live process."""

    parent: int
    command: str
    environ: bytes
    cwd: Path

    @classmethod
    def of(cls, pid: int) -> _Process | None:
        """Look at a process; None if there is none any more, or only its exit status."""
        directory = Path("/proc", str(pid))
        try:
            command = directory.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
            after_name = directory.joinpath("stat").read_bytes().rpartition(b")")[2].split()
            environ = directory.joinpath("environ").read_bytes()
            cwd = directory.joinpath("cwd").readlink()
        except (OSError, UnicodeDecodeError):
            return None
        return cls(parent=int(after_name[1]), command=command, environ=environ, cwd=cwd)

    def is_of(self, token: str, directory: Path) -> bool:
        """Tell whether the process shows a mark of a test."""
        marked = token in self.command or token.encode() in self.environ
        return marked or self.cwd.is_relative_to(directory)
