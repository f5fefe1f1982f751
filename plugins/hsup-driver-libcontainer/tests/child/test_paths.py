from __future__ import annotations

from pathlib import Path

import pytest

from hsup_driver_libcontainer.child.paths import is_writable, resolve


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "var").mkdir()
    (tmp_path / "var/run").symlink_to("/run")
    (tmp_path / "out").symlink_to("../../../../etc")
    (tmp_path / "circle").symlink_to("circle")
    return str(tmp_path)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/mnt/data", "/mnt/data"),
        ("/lib/x", "/usr/lib/x"),
        ("/var/run/x", "/run/x"),
        ("/out/passwd", "/etc/passwd"),
        ("/../../x", "/x"),
        ("/a/./b/../c", "/a/c"),
        ("/", "/"),
    ],
)
def test_a_path_is_resolved_within_its_root(root: str, path: str, target: str) -> None:
    assert resolve(root, path) == target


def test_links_in_a_circle_are_an_error(root: str) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        resolve(root, "/circle/x")


@pytest.mark.parametrize("path", ["/app/x", "/tmp/x", "/var/tmp/x/y", "/dev/x"])
def test_what_is_in_memory_of_the_dynos_can_be_written_to(path: str) -> None:
    assert is_writable(path)


@pytest.mark.parametrize("path", ["/", "/app", "/application/x", "/mnt/app/x", "/var/x"])
def test_all_else_cannot(path: str) -> None:
    assert not is_writable(path)
