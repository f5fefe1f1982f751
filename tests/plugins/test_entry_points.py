from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from hsup.plugins.entry_points import EntryPoint, entry_points
from tests.conftest import Installer


def of(name: str, group: str = "hsup") -> list[EntryPoint]:
    """Return the entry points of a name."""
    return [point for point in entry_points(group) if point.name == name]


def test_an_entry_point_is_found_with_its_distribution(install: Installer) -> None:
    module = install("hsup-driver-frob", "", version="4.5", entry_point="driver-frob")
    (point,) = of("driver-frob")
    assert (point.value, point.distribution, point.version) == (module, "hsup-driver-frob", "4.5")


def test_other_groups_are_other_groups(install: Installer) -> None:
    install("hsup-driver-frob", "")
    assert of("other") == []
    assert len(of("other", "console_scripts")) == 1


def test_all_entry_points_are_those_that_python_itself_finds(install: Installer) -> None:
    install("hsup-driver-frob", "")
    ours = {(point.name, point.value) for point in entry_points("hsup")}
    theirs = {(one.name, one.value) for one in importlib.metadata.entry_points(group="hsup")}
    assert ours == theirs


def test_a_distribution_that_is_installed_twice_counts_once(
    install: Installer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("hsup-driver-frob", "", version="1.0")
    second = tmp_path / "second" / "hsup_driver_frob-2.0.dist-info"
    second.mkdir(parents=True)
    (second / "entry_points.txt").write_text("[hsup]\nbroken = elsewhere\nmore = elsewhere\n")
    (second / "METADATA").write_text("Name: hsup-driver-frob\nVersion: 2.0\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(second.parent)])
    assert [point.version for point in of("broken")] == ["1.0"]
    assert of("more") == []


def test_an_egg_is_a_distribution_too(install: Installer) -> None:
    directory = install.site / "hsup_driver_egg.egg-info"
    directory.mkdir()
    (directory / "PKG-INFO").write_text("Name: hsup-driver-egg\nVersion: 0.9\n")
    (directory / "entry_points.txt").write_text("[hsup]\nlaid = egg\n")
    (point,) = of("laid")
    assert (point.distribution, point.version) == ("hsup-driver-egg", "0.9")


def test_the_directory_tells_name_and_version(install: Installer) -> None:
    directory = install.metadata("hsup-driver-frob", "[hsup]\nbare = frob\n")
    (directory / "METADATA").unlink()
    (point,) = of("bare")
    assert (point.distribution, point.version) == ("hsup-driver-frob", "1.2.3")


def test_an_egg_beside_its_distribution_counts_once(install: Installer) -> None:
    install.metadata("hsup-driver-frob", "[hsup]\nfrob = frob\n")
    egg = install.site / "hsup_driver_frob.egg-info"
    egg.mkdir()
    (egg / "entry_points.txt").write_text("[hsup]\nfrob = frob\n")
    assert len(of("frob")) == 1


def test_comments_extras_and_spaces_are_as_the_specification_has_them(install: Installer) -> None:
    text = """
        # a comment = of the file
        [ hsup ]
        ; another = comment
          spaced   =   frob.hooks
        extra = frob.hooks [tls]
        not an entry point

        [hsup.other]
        elsewhere = frob.hooks
    """
    install.metadata("hsup-driver-frob", text)
    found = {point.name: point.value for point in entry_points("hsup")}
    assert found["spaced"] == found["extra"] == "frob.hooks"
    assert found.keys().isdisjoint({"elsewhere", "another", "# a comment", "not an entry point"})


def test_an_entry_point_names_a_module_or_something_in_it(install: Installer) -> None:
    module = install("hsup-driver-frob", "class Plugin:\n    inner = 42\n")
    (point,) = of("broken")
    assert point.load() is sys.modules[module]
    named = EntryPoint(name="x", value=f"{module}:Plugin.inner", metadata=point.metadata)
    assert named.load() == 42


def test_a_module_that_is_not_there_is_an_import_error(tmp_path: Path) -> None:
    point = EntryPoint(name="x", value="hsup_driver_nowhere.hooks", metadata=str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="hsup_driver_nowhere"):
        point.load()


def test_what_is_no_directory_on_the_path_has_no_entry_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "archive.zip").write_bytes(b"PK")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "gone"), str(tmp_path / "archive.zip")])
    assert entry_points("hsup") == []


def test_an_empty_name_on_the_path_is_the_current_directory(
    install: Installer, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("hsup-driver-frob", "")
    monkeypatch.chdir(install.site)
    monkeypatch.setattr(sys, "path", [""])
    assert len(of("broken")) == 1


def test_a_distribution_that_cannot_be_read_has_no_entry_points(install: Installer) -> None:
    directory = install.site / "strange-1.0.dist-info"
    (directory / "entry_points.txt").mkdir(parents=True)
    assert of("strange") == []


def test_bytes_that_are_no_text_hide_no_other_entry_point(install: Installer) -> None:
    directory = install.metadata("hsup-driver-frob", "")
    (directory / "entry_points.txt").write_bytes(b"[hsup]\nb\xff = x\ngood = frob\n")
    assert len(of("good")) == 1
