from __future__ import annotations

import subprocess
import sys

#: Forks, as an hsup does that has no zygote, and prints what is left of hsup in the child.
LEAVING = """
import os, sys
reading, writing = os.pipe()
other = os.open("/", os.O_RDONLY)
os.umask(0o77)
from hsup_driver_libcontainer.child import init
if not os.fork():
    init.leave_all({writing})
    listed = os.listdir("/proc/self/fd")  # one of them is that of the list itself
    opened = [int(name) for name in listed if os.path.exists(f"/proc/self/fd/{name}")]
    null = os.path.realpath("/proc/self/fd/0") == os.path.realpath("/proc/self/fd/1") == os.devnull
    found = sorted(opened) == [0, 1, 2, writing], null, os.getcwd(), oct(os.umask(0))
    left = (*found, sys.meta_path, sys.path)
    os.write(writing, repr(left).encode())
    os._exit(0)
os.wait()
print(os.read(reading, 1000).decode())
"""


def test_a_child_of_an_hsup_without_a_zygote_keeps_nothing_of_it() -> None:
    line = [sys.executable, "-c", LEAVING]
    done = subprocess.run(line, capture_output=True, text=True, check=True, stdin=subprocess.PIPE)
    assert done.stdout == "(True, True, '/', '0o22', [], [])\n"
