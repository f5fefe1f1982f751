"""What the program does before it looks at its command line."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

#: Runs `python -m hsup` with what a test has done before, and says what is then.
PROGRAM = """
import os, signal, sys
import hsup.cli.main
hsup.cli.main.main = lambda: os.write(1, repr({seen}).encode())
{before}
import hsup.__main__
hsup.__main__.main()
"""


def seen(expression: str, before: str = "") -> str:
    command = [sys.executable, "-X", "utf8", "-c", PROGRAM.format(seen=expression, before=before)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def test_signals_that_the_caller_has_blocked_arrive() -> None:
    before = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])"
    assert seen("signal.pthread_sigmask(signal.SIG_BLOCK, ())", before) == "set()"


def test_children_are_told_of_where_the_caller_has_ignored_them() -> None:
    before = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    assert seen("int(signal.getsignal(signal.SIGCHLD))", before) == str(int(signal.SIG_DFL))


@pytest.mark.parametrize("action", [signal.SIG_DFL, signal.SIG_IGN])
def test_an_interrupt_ends_hsup_unless_the_caller_ignores_it(action: signal.Handlers) -> None:
    before = f"signal.signal(signal.SIGINT, {int(action)})"
    assert seen("int(signal.getsignal(signal.SIGINT))", before) == str(int(action))


@pytest.mark.parametrize("stream", [0, 2])
def test_a_stream_that_is_closed_is_empty(stream: int) -> None:
    assert seen(f"os.readlink('/proc/self/fd/{stream}')", f"os.close({stream})") == "'/dev/null'"


@pytest.mark.parametrize("locale", ["C", "POSIX", "de_DE.ISO-8859-1"])
def test_names_are_in_utf8_whatever_the_locale_is(locale: str, tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("wörker: ./work\n")
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "hsup", "check"],
        cwd=tmp_path,
        env={"LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert b"w\\xc3\\xb6rker" not in done.stdout
    assert "wörker".encode() in done.stdout + done.stderr
