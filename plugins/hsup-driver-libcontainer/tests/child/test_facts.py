from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pyseccomp  # type: ignore[import-untyped]
import pytest

from hsup_driver_libcontainer.child import facts, kernel
from hsup_driver_libcontainer.child.plan import BindMount, ContainerPlan


@pytest.fixture
def plan(tmp_path: Path) -> ContainerPlan:
    stack = tmp_path / "stack"
    (stack / "etc").mkdir(parents=True)
    (stack / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (stack / "srv").symlink_to("/var/../data")
    (stack / "circle").symlink_to("circle")
    (tmp_path / "file").write_text("")
    binds = (
        BindMount(str(tmp_path), "/srv/one", read_only=False),
        BindMount(str(tmp_path / "file"), "/two", read_only=True),
        BindMount(str(tmp_path / "none"), "/three", read_only=True),
    )
    return ContainerPlan("web.1", str(stack), None, {}, binds, 1, (), ())


def test_links_are_followed_within_the_stack(plan: ContainerPlan) -> None:
    found = facts.look(plan, 3007).targets
    assert [one.bind for one in found] == [*plan.binds]
    assert [one.path for one in found] == ["/data/one", "/two", "/three"]


def test_what_is_bound_is_a_directory_or_not(plan: ContainerPlan) -> None:
    assert [one.is_directory for one in facts.look(plan, 3007).targets] == [True, False, False]


def test_the_dynos_user_is_among_those_of_the_stack(plan: ContainerPlan) -> None:
    passwd = facts.look(plan, 3007).users["/etc/passwd"]
    assert passwd.startswith("root:x:0:0:")
    assert passwd.endswith("dyno:x:3007:3007:dyno:/app:/bin/bash\n")


def test_a_path_that_leads_in_circles_is_named(plan: ContainerPlan) -> None:
    binds = (BindMount("/srv", "/circle/x", read_only=True),)
    expected = "Too many levels of symbolic links: 'cannot find /circle/x in the stack'"
    with pytest.raises(OSError, match=re.escape(expected)):
        facts.look(plan._replace(binds=binds), 3007)


@pytest.mark.parametrize(
    ("refusal", "is_known"), [(errno.ENOSYS, False), (errno.EPERM, True), (errno.EBADF, True)]
)
def test_a_kernel_that_knows_no_mount_setattr_is_recognized(refusal: int, is_known: bool) -> None:
    """A refusal is something else: the error of the step that needs the call."""

    def look() -> bool:
        filtering = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        filtering.add_rule(pyseccomp.ERRNO(refusal), "mount_setattr")
        filtering.load()
        return kernel.has_mount_setattr()

    assert status_of(look) == is_known


def status_of(look: Callable[[], int]) -> int:
    """Return what a function returns in a process of its own, as its status."""
    pid = os.fork()
    if not pid:
        status = 255
        try:
            status = int(look())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
