"""What becomes of both processes if something fails before the program begins."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

#: Begins as `hsup run` does, and fails before the program would begin.
BEGINNING = """
import os
import resource
import signal
import sys

from hsup.copying.beginning import begin

class Deliverer:
    is_full = False

    def begin(self):
        if "kill" in sys.argv:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, stream, lines, *, is_partial): pass
    async def room(self): pass
    def say(self, text): pass

    async def finish(self, hurried):
        return ["warning: finished"]

limits = resource.getrlimit(resource.RLIMIT_NOFILE)
runner = begin(Deliverer())
try:
    if "full" in sys.argv:  # there is room for a copy of standard output, and no other
        resource.setrlimit(resource.RLIMIT_NOFILE, (11, limits[1]))
        with runner:
            pass
    sys.exit("hsup: it failed")
finally:
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    runner.leave()
    print("left", flush=True)
"""


def begun(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BEGINNING, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("words", [[], ["full"]])
def test_a_failure_before_the_program_begins_ends_both_processes(words: list[str]) -> None:
    ended = begun(*words)
    assert (ended.returncode, ended.stdout) == (1, "left\n")
    assert ended.stderr.splitlines()[0] == "hsup: warning: finished"
    expected = "OSError: [Errno 24] Too many open files" if words else "hsup: it failed"
    assert ended.stderr.splitlines()[-1] == expected


def test_a_signal_that_kills_the_relay_before_it_is_ready_gives_the_status_of_a_shell() -> None:
    assert begun("kill").returncode == 128 + signal.SIGKILL
