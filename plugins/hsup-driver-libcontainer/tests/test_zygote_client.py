"""The zygote forks first processes; their builders wait for a plan that never comes here."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from hsup_driver_libcontainer.child.plan import ProcessSetup, SharedSetup
from hsup_driver_libcontainer.zygote_client import Zygote

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make namespaces")

SETUP = ProcessSetup(uid=65_000, hostname="web.1", open_files=64, cpus=(), join_files=())


def fork(zygote: Zygote) -> tuple[socket.socket, socket.socket]:
    """Fork a first process; return hsup's ends of its channel and of its builder's."""
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(2)]
    zygote.fork(SETUP, [theirs.fileno() for _, theirs in pairs])
    for _, theirs in pairs:
        theirs.close()
    (channel, _), (setup, _) = pairs
    return channel, setup


def children(pid: int | str) -> set[str]:
    found: set[str] = set()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ends has no children
            found.update((thread / "children").read_text().split())
    return found


def first_processes(before: set[str]) -> set[str]:
    (zygote,) = children("self") - before
    return children(zygote)


def wait_until_forked(setup: socket.socket) -> None:
    setup.settimeout(60)
    setup.recv(1 << 12)


@pytest.mark.parametrize("is_mounting", [False, True], ids=["idle", "mounting"])
def test_a_first_process_that_ends_is_reaped_whatever_the_zygote_does(
    tmp_path: Path, is_mounting: bool
) -> None:
    before = children("self")
    zygote = Zygote(SharedSetup(kept=(), stage=str(tmp_path), seccomp="", highest_capability=0))
    mounting = threading.Thread(target=zygote.mount, args=[("sleep", "1")])
    try:
        channel, setup = fork(zygote)
        wait_until_forked(setup)
        (first_process,) = first_processes(before)
        if is_mounting:
            mounting.start()
            wait_until(lambda: len(first_processes(before)) == 2)  # sleep is the other one
        channel.close()
        setup.close()
        if is_mounting:
            mounting.join()
        wait_until(lambda: first_process not in first_processes(before))
    finally:
        zygote.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
