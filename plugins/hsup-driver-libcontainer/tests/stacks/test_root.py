from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.manifest import Entry
from hsup_driver_libcontainer.stacks.root import check_root, find_file
from hsup_driver_libcontainer.stacks.store import StackStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "outer/root"
    (directory / "usr/bin").mkdir(parents=True)
    (directory / "usr/bin/real").write_text("inside")
    (tmp_path / "outer/secret").write_text("outside")
    (directory / "bin").symlink_to("usr/bin")
    return directory


@pytest.mark.parametrize(
    "target",
    [
        "real",
        "./real",
        "/bin/real",
        "/usr/bin/real",
        "../../usr/bin/real",
        "../../../../../bin/real",
        "//bin//real",
    ],
)
def test_links_are_followed_as_a_dyno_would(root: Path, target: str) -> None:
    (root / "usr/bin/sh").symlink_to(target)

    assert find_file(str(root), "bin/sh") == str(root / "usr/bin/real")


@pytest.mark.parametrize(
    "target", ["sh", "../../../secret", "/../secret", "nothing", "real/x", "/"]
)
def test_what_leads_nowhere_in_the_root_is_not_found(root: Path, target: str) -> None:
    (root / "usr/bin/sh").symlink_to(target)

    assert find_file(str(root), "bin/sh") is None


def test_an_endless_chain_of_links_is_given_up(root: Path) -> None:
    for number in range(50):
        (root / f"link{number}").symlink_to(f"link{number + 1}")
    (root / "link50").write_text("too far")

    assert find_file(str(root), "link0") is None
    assert find_file(str(root), "link20") == str(root / "link50")


def test_a_whole_root_is_good(small_root: Path) -> None:
    check_root(str(small_root), "a")


@pytest.mark.usefixtures("as_root")
def test_a_root_of_another_machine_is_refused(
    store: StackStore, tmp_path: Path, small_root: Path, pack: Callable[[Path], bytes]
) -> None:
    root = tmp_path / "foreign"
    (root / "bin").mkdir(parents=True)
    program = bytearray((small_root / "usr/bin/busybox").read_bytes()[:4096])
    program[18:20] = (183 if os.uname().machine == "x86_64" else 62).to_bytes(2, "little")
    for shell in ("bash", "sh"):
        (root / "bin" / shell).write_bytes(program)
    (tmp_path / "foreign.tar").write_bytes(pack(root))

    with pytest.raises(
        DriverError, match=r'stack "a" is for \w+, but this machine is \w+; use its'
    ):
        store.add(Entry("a", None, str(tmp_path / "foreign.tar")))
