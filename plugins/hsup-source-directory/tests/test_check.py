"""`hsup check` finds the right control file, and all of its faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsup.api import Settings
from hsup.errors import SourceError, UsageError
from hsup_source_directory.check import check

GOOD = '{"Processes": []}'
FAULTY = '{\n"Version": "x", "Processes": []}'


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # typed paths are relative to it
    (tmp_path / "control").mkdir()
    return Settings(directory=str(tmp_path), environ={"HSUP_CONTROL_DIR": "control"})


def test_new_is_checked_and_left_where_it_is(settings: Settings) -> None:
    directory = Path(settings.directory) / "control"
    (directory / "new").write_text(FAULTY)
    (directory / "loaded").write_text(GOOD)

    checked = check(None, settings)

    assert checked is not None
    assert checked.what == f'control file "{directory / "new"}"'
    assert [fault.place for fault in checked.faults] == ["line 2"]
    assert sorted(path.name for path in directory.iterdir()) == ["loaded", "new"]


def test_without_new_the_loaded_file_is_checked(settings: Settings) -> None:
    (Path(settings.directory) / "control" / "loaded").write_text(GOOD)
    checked = check(None, settings)
    assert checked is not None
    assert checked.what.endswith('/loaded"')
    assert checked.faults == ()


def test_an_empty_directory_has_nothing_to_check(settings: Settings) -> None:
    with pytest.raises(
        SourceError, match='contains neither "new" nor "loaded"; write a control file named "new"'
    ):
        check(None, settings)


def test_without_a_control_directory_there_is_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="HSUP_CONTROL_DIR is not set"):
        check(None, Settings(directory=str(tmp_path), environ={}))


@pytest.mark.parametrize(
    ("name", "content", "is_ours"),
    [
        ("new", "", True),
        ("rejected", "x", True),
        ("release.json", "x", True),
        ("release", "\n {}", True),
        ("app.json", "{}", False),
        ("Procfile", "web: x", False),
        ("empty", "", False),
    ],
)
def test_a_control_file_is_known_by_name_or_content(
    settings: Settings, name: str, content: str, is_ours: bool
) -> None:
    (Path(settings.directory) / name).write_text(content)
    assert (check(Path(name), settings) is not None) is is_ours


def test_a_directory_is_of_another_kind_unless_it_has_the_name(settings: Settings) -> None:
    (Path(settings.directory) / "new").mkdir()
    assert check(Path("control"), settings) is None
    checked = check(Path("new"), settings)
    assert checked is not None
    assert [str(fault) for fault in checked.faults] == ["must be a file, got a directory"]


def test_a_file_that_is_not_there_is_of_another_kind_unless_it_has_the_name(
    settings: Settings,
) -> None:
    assert check(Path("Procfile"), settings) is None
    with pytest.raises(SourceError, match=r'cannot read control file "x\.json": No such file'):
        check(Path("x.json"), settings)
