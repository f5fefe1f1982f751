from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pyseccomp  # type: ignore[import-untyped]
import pytest

from hsup_driver_libcontainer.child.owner import Owner, exchange_map

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root maps the ids of others")


@pytest.mark.parametrize(("owner", "user"), [(0, 3000), (1000, 3000), (3000, 1000), (5, 6), (7, 7)])
def test_an_id_map_exchanges_two_ids_and_keeps_all_others(owner: int, user: int) -> None:
    shown = {}
    for line in exchange_map(owner, user).splitlines():
        inside, outside, count = map(int, line.split())
        for one in range(min(count, 20_000)):
            assert inside + one not in shown
            shown[inside + one] = outside + one
    assert shown[owner] == user
    assert shown[user] == owner
    assert all(shown[one] == one for one in range(12_000) if one not in (owner, user))


@needs_root
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (errno.EINVAL, errno.EOPNOTSUPP),  # a file system without idmapped mounts
        (errno.ENOSYS, errno.EOPNOTSUPP),  # a kernel without the call
        (errno.EPERM, errno.EOPNOTSUPP),
        (errno.EMFILE, errno.EMFILE),
    ],
)
def test_where_no_mount_can_be_idmapped_that_is_told_apart_from_failures(
    tmp_path: Path, answer: int, told: int
) -> None:
    def own() -> int:
        filtering = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        filtering.add_rule(pyseccomp.ERRNO(answer), "mount_setattr")
        filtering.load()
        owner = Owner(3007)
        try:
            owner.own(os.open(tmp_path, os.O_PATH))
        except OSError as error:
            return error.errno or 0
        finally:
            owner.end()
            owner.reap()
        return 0

    assert status_of(own) == told


def status_of(function: Callable[[], int]) -> int:
    """Return what a function returns in a process of its own, as its status."""
    pid = os.fork()
    if not pid:
        status = 255
        try:
            status = function()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
