from __future__ import annotations

from pathlib import Path

import pytest

from hsup.api import Checked, Settings
from hsup.errors import SourceError
from hsup_source_procfile.checking import check


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)  # typed paths are relative to it
    return Settings(directory=str(tmp_path), environ={})


def faults_of(checked: Checked | None) -> list[str]:
    return [str(fault) for fault in checked.faults]


def test_without_a_path_all_three_files_are_validated(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "Procfile").write_text("web:./serve\nworker\n")
    (tmp_path / ".env").write_text("A=1\n=2\n")
    (tmp_path / "app.json").write_text('{"formation": {"web": {"quantity": -1}}}')
    checked = check(None, settings)
    assert checked.what == "Procfile"
    assert faults_of(checked) == [
        'line 1: classic Heroku needs a space after "web:"',
        'line 2: must be "name: command", got "worker"',
        ".env line 2: must be KEY=value, with every quote closed",
        'app.json, "quantity" of "web": must be a whole number, 0 or more, got -1',
    ]


def test_a_fault_of_a_whole_file_names_it(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "Procfile").write_text("web: ./serve\n")
    (tmp_path / "app.json").write_text("[]")
    assert faults_of(check(None, settings)) == ["app.json: must be an object, got a list"]


def test_without_a_path_a_missing_procfile_is_a_source_error(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*/Procfile: No such file or directory"):
        check(None, settings)


@pytest.mark.parametrize("name", ["Procfile", "Procfile.dev", "shop.procfile"])
def test_a_named_procfile_is_validated_by_itself(
    tmp_path: Path, settings: Settings, name: str
) -> None:
    (tmp_path / name).write_text("web:\n")
    (tmp_path / ".env").write_text("=2\n")
    checked = check(Path(name), settings)
    assert checked.what == name
    assert faults_of(checked) == ['line 1: "web" must have a command']


def test_a_named_directory_is_validated_with_its_three_files(
    tmp_path: Path, settings: Settings
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "Procfile").write_text("web: ./serve\n")
    (tmp_path / "shop" / ".env").write_text("=2\n")
    checked = check(Path("shop"), settings)
    assert checked.what == "shop/Procfile"
    assert faults_of(checked) == ["shop/.env line 1: must be KEY=value, with every quote closed"]


@pytest.mark.parametrize("name", ["new", "app.json", "Procfiles", "directory"])
def test_what_is_no_procfile_is_left_to_others(
    tmp_path: Path, settings: Settings, name: str
) -> None:
    (tmp_path / "directory").mkdir()
    assert check(Path(name), settings) is None


def test_a_named_procfile_that_is_not_there_is_a_source_error(settings: Settings) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*/Procfile.dev: "):
        check(Path("Procfile.dev"), settings)
