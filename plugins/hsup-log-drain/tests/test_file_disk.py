from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("full_disk.py")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")


def written(directory: Path, how: str) -> list[str]:
    # What is mounted goes with the namespace.
    command = ["unshare", "--mount", sys.executable, str(PROGRAM), str(directory), how]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


@pytest.mark.parametrize("how", ["block", "rotate"])
def test_a_full_disk_delays_lines_and_tears_none(tmp_path: Path, how: str) -> None:
    message = (
        f'cannot write log file "{tmp_path}/app.log": No space left on device; free some space'
    )
    assert written(tmp_path, how) == [
        f"DrainError {message} True",
        f"DrainUnreachable {message} True",
        "b''",
    ]


def test_a_torn_line_ends_before_another_one(tmp_path: Path) -> None:
    content = written(tmp_path, "lost")[-1]
    assert re.fullmatch(r"b'(line )?[0-9]*\\nother\\n'|b'li?n?e?\\nother\\n'", content), content


def test_a_disk_that_was_read_only_is_written_again(tmp_path: Path) -> None:
    message = f'cannot write log file "{tmp_path}/app.log": Read-only file system'
    assert written(tmp_path, "read-only") == [
        f"DrainUnreachable {message} False",
        f"DrainUnreachable {message} True",
        "b''",
    ]
