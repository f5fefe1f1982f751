from __future__ import annotations

import subprocess
import sys

#: Starts a child, which has one in a session of its own; says who they are when both run.
PARENT = """
import subprocess, sys
from hsup.cli.emergency import kill_descendants
child = subprocess.Popen(
    ["bash", "-c", "setsid bash -c 'trap : TERM; echo $$; exec sleep 600' & echo $$; wait"],
    stdout=subprocess.PIPE, text=True,
)
pids = sorted(int(child.stdout.readline()) for _ in range(2))
kill_descendants()
assert child.stdout.read() == ""  # which nobody can write to any more
print(child.wait(), *pids)
"""


def test_all_that_comes_from_hsup_is_killed_and_named() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT], capture_output=True, text=True, check=True, timeout=60
    )
    status, *pids = done.stdout.split()
    assert status == "-9"
    assert done.stderr.startswith("hsup: killed remaining processes: ")
    for pid in pids:
        assert f"{pid} (" in done.stderr


def test_nothing_is_said_where_nothing_is_left() -> None:
    code = "from hsup.cli.emergency import kill_descendants; kill_descendants()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == b""
