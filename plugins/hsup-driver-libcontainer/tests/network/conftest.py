"""A machine of its own for each test, to make networks on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsup_driver_libcontainer.child import kernel

from .machine import Machine, own_namespace


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() != 0 or not all(map(shutil.which, ("nft", "ip"))):
        pytest.skip("makes network namespaces: needs root, nft and ip")
    before = own_namespace()
    kernel.unshare(kernel.CLONE_NEWNET)
    host = own_namespace()
    machine = Machine(tmp_path, host)
    try:
        machine.run("ip link set lo up")
        # A new namespace has what the machine's own has.
        machine.set("net.ipv4.ip_forward", 0)
        yield machine
    finally:
        machine.stop()
        os.close(host)
        kernel.setns(before, kernel.CLONE_NEWNET)
        os.close(before)
