"""What dynos with containers take of the machine, to see that nothing of it stays behind."""

from __future__ import annotations

import glob
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ftest import docker_engine
from ftest.program import PATIENCE, WAIT_SECONDS

_RUN = Path("/run/hsup/libcontainer")
_CGROUPS = Path("/sys/fs/cgroup")


def since(before: set[str], timeout: float = WAIT_SECONDS) -> set[str]:
    """Return what has been there since `before` and does not go away in time.

    What other hsups take and give back meanwhile is none of it.
    """
    deadline = time.monotonic() + timeout * PATIENCE
    left = taken() - before
    while left and time.monotonic() < deadline:
        left &= taken()
    return left


def taken() -> set[str]:
    """Return a line for everything on the machine that may have been made for a dyno."""
    found = (_mounts(), _interfaces(), _namespaces(), _tables(), _cgroups(), _loops(), _instances())
    return set(chain(*found, _processes(), _containers()))


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if "hsup" in line:
            yield f"mount: {line}"


def _interfaces() -> Iterator[str]:
    for _, name in socket.if_nameindex():
        if name.startswith("hs"):
            yield f"interface: {name}"


def _namespaces() -> Iterator[str]:
    for name in glob.glob("*", root_dir="/run/netns"):
        yield f"network namespace: {name}"


def _tables() -> Iterator[str]:
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
    if nft is None:
        return
    listed = subprocess.run([nft, "list", "tables"], check=True, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        if "hsup" in line:
            yield f"nft: {line}"


def _cgroups() -> Iterator[str]:
    """Yield the cgroups of hsups, on version 1 and 2."""
    for pattern in ("hsup-*", "hsup-*/*", "*/hsup-*", "*/hsup-*/*"):
        for name in glob.glob(f"{pattern}/", root_dir=_CGROUPS):  # pathlib's raises what vanishes
            yield f"cgroup: {name}"


def _loops() -> Iterator[str]:
    for name in glob.glob("loop*/loop/backing_file", root_dir="/sys/block"):
        yield f"loop device: {name.partition('/')[0]}"


def _containers() -> Iterator[str]:
    if docker_engine.is_there():
        for name in docker_engine.containers():
            yield f"container: {name}"


def _instances() -> Iterator[str]:
    """Yield the files of hsups in the run directory; those that all of them share may stay."""
    for name in glob.glob("instances/*", root_dir=_RUN):
        yield f"instance: {name}"


def _processes() -> Iterator[str]:
    """Yield the processes of pid namespaces beneath the host's (NSpid in man 5 proc).

    Those of Docker are somebody else's; one that has ended is its parent's to reap.
    """
    for directory in Path("/proc").iterdir():
        if not directory.name.isdigit():
            continue
        try:
            status = (directory / "status").read_text()
            cgroups = (directory / "cgroup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        is_inner = len(fields["NSpid"].split()) > 1
        if is_inner and "docker" not in cgroups and not fields["State"].startswith("Z"):
            yield f"process: {directory.name} {fields['Name']}"
