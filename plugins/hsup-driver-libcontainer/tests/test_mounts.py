from __future__ import annotations

import pytest

from hsup_driver_libcontainer.mounts import exchange_map
from hsup_driver_libcontainer.paths import resolve


@pytest.fixture
def root(tmp_path):
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
def test_a_path_is_resolved_within_its_root(root, path, target):
    assert resolve(root, path) == target


def test_links_in_a_circle_are_an_error(root):
    with pytest.raises(OSError, match="symbolic links"):
        resolve(root, "/circle/x")


@pytest.mark.parametrize(("owner", "user"), [(0, 3000), (1000, 3000), (3000, 1000), (5, 6), (7, 7)])
def test_an_id_map_exchanges_two_ids_and_keeps_all_others(owner, user):
    shown = {}
    for line in exchange_map(owner, user).splitlines():
        inside, outside, count = map(int, line.split())
        for one in range(min(count, 20_000)):
            assert inside + one not in shown
            shown[inside + one] = outside + one
    assert shown[owner] == user
    assert shown[user] == owner
    assert all(shown[one] == one for one in range(12_000) if one not in (owner, user))
