from __future__ import annotations

import os

import pytest

from hsup_driver_libcontainer.child.mounts import _give_all, _require_same, exchange_map
from hsup_driver_libcontainer.child.paths import resolve


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


OWNER, DYNO = 61001, 61002
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def slug(tmp_path):
    """Return a folder with files of OWNER, and one of root's."""
    folder = tmp_path / "slug"
    (folder / "lib").mkdir(parents=True)
    for name in ("bin", "lib/one", "lib/two", "others"):
        (folder / name).write_text("")
    for name in ("lib", "bin", "lib/one", "lib/two"):
        os.chown(folder / name, OWNER, OWNER)
    return folder


def meet(monkeypatch, work):
    """Do something when a file is first looked at, right before it is given."""
    real = {name: getattr(os, name) for name in ("chown", "lchown")}

    def changed(path, *given, **options):
        for name, function in real.items():
            monkeypatch.setattr(os, name, function)
        work()
        os.chown(path, *given, **{**options, "follow_symlinks": False})

    for name in real:
        monkeypatch.setattr(os, name, changed)


@needs_root
def test_what_belongs_to_the_owner_is_given_and_nothing_else(slug, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("")
    os.chown(outside, OWNER, OWNER)
    (slug / "lib/link").symlink_to(outside)
    os.lchown(slug / "lib/link", OWNER, OWNER)
    _give_all(str(slug), OWNER, DYNO)
    given = ("lib", "bin", "lib/one", "lib/two", "lib/link")
    assert {(slug / name).lstat().st_uid for name in given} == {DYNO}
    assert {path.stat().st_uid for path in (slug / "others", outside)} == {0, OWNER}


@needs_root
def test_files_that_vanish_while_all_are_given_are_passed_over(slug, monkeypatch):
    def remove():
        for name in ("lib/one", "bin"):
            (slug / name).unlink()

    meet(monkeypatch, remove)
    _give_all(str(slug), OWNER, DYNO)
    assert {(slug / name).stat().st_uid for name in ("lib", "lib/two")} == {DYNO}


@needs_root
def test_nothing_outside_is_given_where_a_folder_becomes_a_link(slug, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("one", "two"):
        (other / name).write_text("")
        os.chown(other / name, OWNER, OWNER)
    os.chown(slug / "bin", 0, 0)  # so that the first that is given is in lib
    os.chown(slug / "lib", 0, 0)

    def turn():
        (slug / "lib").rename(tmp_path / "before")
        (slug / "lib").symlink_to(other)

    meet(monkeypatch, turn)
    _give_all(str(slug), OWNER, DYNO)
    assert {path.stat().st_uid for path in other.iterdir()} == {OWNER}


def test_a_folder_that_something_else_took_the_place_of_is_not_mounted(tmp_path):
    with pytest.raises(OSError, match="replaced just now"):
        _require_same(str(tmp_path), os.stat(tmp_path.parent))
    _require_same(str(tmp_path), os.stat(tmp_path))
