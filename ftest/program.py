"""The installed hsup program, as a test calls it from outside."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

WAIT_SECONDS = 15.0
_LOOK_SECONDS = 0.005


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
    """The program with a folder and a clean environment of one test's own.

    `token` is in the environment of hsup and, as the number of seconds of
    `sleep`, in the argv of what dynos run: nothing of a test can hide.
    """

    def __init__(self, path: Path, driver: str, folder: Path) -> None:
        self.path = path
        self.driver = driver
        self.folder = folder
        self.control = folder / "control"
        self.token = f"{random.randint(20_000, 99_999)}.{random.randint(10**6, 10**7 - 1)}"
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "FTEST_TOKEN": self.token,
        }
        self.started: list[Running] = []

    @property
    def sleep(self) -> str:
        """Return a command that lasts longer than any test."""
        return f"sleep {self.token}"

    @property
    def born(self) -> str:
        """Return a shell line that says that it was started, then only sleeps."""
        return f"echo born; exec {self.sleep}"

    def procfile(self, **commands: str) -> None:
        """Write a Procfile into the folder."""
        lines = "".join(f"{name}: {command}\n" for name, command in commands.items())
        replace(self.folder / "Procfile", lines)

    def release(self, **content: object) -> None:
        """Put a release into the control directory, as a careful writer does."""
        self.environ["HSUP_CONTROL_DIR"] = str(self.control)
        self.control.mkdir(exist_ok=True)
        replace(self.control / "new", json.dumps({"Version": 1, **content}))

    def slug(self, name: str) -> None:
        """Write a slug without any file of an application into the folder."""
        with tarfile.open(self.folder / name, "w:gz") as archive:
            app = tarfile.TarInfo("./app")
            app.type, app.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(app)

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
            cwd=self.folder,
            env={**self.environ, **(env or {})},
            timeout=timeout,
            check=False,
        )
        return Finished(status=_shell_status(done.returncode), out=done.stdout, err=done.stderr)

    def begin(
        self, *words: str, prefix: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> Running:
        """Start hsup beside the test; the fixture ends it if the test does not."""
        child = subprocess.Popen(
            [*prefix, *self.words(*words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env={**self.environ, **(env or {})},
        )
        self.started.append(Running(child))
        return self.started[-1]

    def start(self, *words: str) -> Running:
        """Start `hsup start` beside the test."""
        return self.begin("start", *words)

    def processes(self) -> dict[int, str]:
        """Return the command line of every live process of this test, by its id."""
        found = {pid: _belonging(pid, self.token, self.folder) for pid in _live_pids()}
        return {pid: command for pid, command in found.items() if command}


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

    def ended(self, timeout: float = WAIT_SECONDS) -> int:
        """Return the status, as a shell has it, once hsup has ended."""
        self._until(lambda: self.child.poll() is not None, "the end of hsup", timeout)
        self._out.finish()
        self._err.finish()
        return _shell_status(self.child.wait())

    def send(self, number: int) -> None:
        """Send a signal to hsup."""
        self.child.send_signal(number)

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


def eventually(true: Callable[[], object], timeout: float = WAIT_SECONDS) -> bool:
    """Tell whether something became true in time."""
    deadline = time.monotonic() + timeout
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


def process(name: str, *args: str, quantity: object = 1) -> dict[str, Any]:
    """Return one entry of `Processes` in a control file."""
    return {"Type": name, "Args": list(args), "Quantity": quantity}


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


def _belonging(pid: int, token: str, folder: Path) -> str:
    """Return the command line of a process that is of a test, else nothing."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        cwd = Path(f"/proc/{pid}/cwd").readlink()
    except (OSError, UnicodeDecodeError):
        return ""
    is_ours = token in command or token.encode() in environ or cwd.is_relative_to(folder)
    return command if is_ours else ""
