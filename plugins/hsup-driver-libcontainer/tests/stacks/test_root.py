from __future__ import annotations

from pathlib import Path

import pytest

from hsup_driver_libcontainer.stacks.root import check_root, find_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "outer/root"
    (folder / "usr/bin").mkdir(parents=True)
    (folder / "usr/bin/real").write_text("inside")
    (tmp_path / "outer/secret").write_text("outside")
    (folder / "bin").symlink_to("usr/bin")
    return folder


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
def test_links_are_followed_as_a_dyno_would(root, target) -> None:
    (root / "usr/bin/sh").symlink_to(target)

    assert find_file(str(root), "bin/sh") == str(root / "usr/bin/real")


@pytest.mark.parametrize(
    "target", ["sh", "../../../secret", "/../secret", "nothing", "real/x", "/"]
)
def test_what_leads_nowhere_in_the_root_is_not_found(root, target) -> None:
    (root / "usr/bin/sh").symlink_to(target)

    assert find_file(str(root), "bin/sh") is None


def test_an_endless_chain_of_links_is_given_up(root) -> None:
    for number in range(50):
        (root / f"link{number}").symlink_to(f"link{number + 1}")
    (root / "link50").write_text("too far")

    assert find_file(str(root), "link0") is None
    assert find_file(str(root), "link20") == str(root / "link50")


def test_a_whole_root_is_good(small_root) -> None:
    check_root(str(small_root), "a")
