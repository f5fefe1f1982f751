"""What dynos take of the machine, to see that nothing of it stays behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

_RUN = Path("/run/hsup/libcontainer")
_CGROUPS = Path("/sys/fs/cgroup")


def taken() -> set[str]:
    """Return a line for everything on the machine that a dyno with containers may have made.

    Compare it with what was there before: others may have containers too.
    """
    found = chain(
        _mounts(), _interfaces(), _namespaces(), _tables(), _cgroups(), _loops(), _files(), _inner()
    )
    return set(found)


def _mounts() -> Iterator[str]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        yield f"mount: {line}"


def _interfaces() -> Iterator[str]:
    for name in os.listdir("/sys/class/net"):
        yield f"interface: {name}"


def _namespaces() -> Iterator[str]:
    for path in Path("/run/netns").glob("*"):
        yield f"network namespace: {path.name}"


def _tables() -> Iterator[str]:
    nft = shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin")
    if nft is None:
        return
    listed = subprocess.run([nft, "list", "tables"], check=True, capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        yield f"nft: {line}"


def _cgroups() -> Iterator[str]:
    """Yield the cgroups of hsups, on version 1 and 2; the parent of all may stay."""
    for pattern in ("hsup/*/**/", "*/hsup/*/**/"):
        for path in _CGROUPS.glob(pattern):
            yield f"cgroup: {path}"


def _loops() -> Iterator[str]:
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        yield f"loop device: {path.parent.parent.name}"


def _files() -> Iterator[str]:
    """Yield what is in the run folder; the files of locks and of pools may stay."""
    for path in _RUN.glob("instances/*"):
        yield f"file: {path}"


def _inner() -> Iterator[str]:
    """Yield the processes of pid namespaces beneath the host's, as NSpid in man 5 proc tells."""
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in path.read_text().splitlines())
        except (OSError, ValueError):
            continue  # it has ended
        if len(fields["NSpid"].split()) > 1:
            yield f"process: {path.parent.name} {fields['Name']}"
