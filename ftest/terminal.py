"""A pseudo terminal, as the person who sits before it has it."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ftest.program import PATIENCE, WAIT_SECONDS


class Terminal:
    """A pseudo terminal with a program in it, seen from the person's side."""

    def __init__(
        self,
        argv: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        rows: int = 24,
        columns: int = 80,
    ) -> None:
        self.master, slave = os.openpty()
        self.seen = ""
        self.resize(rows, columns)
        self.child = subprocess.Popen(
            ["setsid", "--ctty", *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=directory,
            env={"TERM": "xterm", **env},
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def wait_for(self, pattern: str, timeout: float = WAIT_SECONDS) -> re.Match[str]:
        """Return the match, and forget what was seen up to its end."""
        deadline = time.monotonic() + timeout * PATIENCE
        while not (found := re.search(pattern, self.seen)):
            left = deadline - time.monotonic()
            assert left > 0, f"no {pattern!r} on the terminal, but:\n{self.seen}"
            if not self._read(left):
                break
        assert found, f"no {pattern!r} on the terminal before its end, but:\n{self.seen}"
        self.seen = self.seen[found.end() :]
        return found

    def ended(self, timeout: float = WAIT_SECONDS) -> int:
        deadline = time.monotonic() + timeout * PATIENCE
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        try:
            code = self.child.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended, but:\n{self.seen}") from None
        return code if code >= 0 else 128 - code

    def hang_up(self) -> None:
        """Be gone, as with the connection of somebody who was logged in."""
        os.close(self.master)
        self.master = os.open(os.devnull, os.O_RDWR)

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        os.close(self.master)

    def _read(self, timeout: float) -> bool:
        if not select.select([self.master], [], [], timeout)[0]:
            return False
        try:
            chunk = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            return False
        self.seen += chunk.decode(errors="replace")
        return bool(chunk)
