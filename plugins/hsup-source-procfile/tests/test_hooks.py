from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hsup.api import Claim, Settings, SourceFactory
from hsup_source_procfile.hooks import hsup_register_sources


@pytest.fixture
def factory() -> SourceFactory:
    return hsup_register_sources()["procfile"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(directory=str(tmp_path), environ={})


def test_it_applies_where_there_is_a_procfile(
    tmp_path: Path, factory: SourceFactory, settings: Settings
) -> None:
    assert factory.applies(settings) is Claim.NONE
    (tmp_path / "Procfile").write_text("")
    assert factory.applies(settings) is Claim.FOUND


def test_a_directory_called_procfile_is_none(
    tmp_path: Path, factory: SourceFactory, settings: Settings
) -> None:
    (tmp_path / "Procfile").mkdir()
    assert factory.applies(settings) is Claim.NONE


def test_a_procfile_that_is_named_counts_more_than_any_variable(
    factory: SourceFactory, settings: Settings
) -> None:
    assert factory.applies(settings._replace(procfile="/x/Procfile.dev")) is Claim.ASKED


def test_the_nearest_procfile_above_is_found(
    tmp_path: Path, factory: SourceFactory, settings: Settings
) -> None:
    (tmp_path / "app/lib/sub").mkdir(parents=True)
    (tmp_path / "Procfile").write_text("web: ./far\n")
    (tmp_path / "app/Procfile").write_text("web: ./near\n")
    below = settings._replace(directory=str(tmp_path / "app/lib/sub"))
    assert factory.applies(below) is Claim.FOUND
    release = factory.create(below).fetch().release
    assert release is not None
    assert release.slug is not None
    assert (release.app, release.slug.location) == ("app", str(tmp_path / "app"))
    assert [str(one.command) for one in release.processes] == ["./near"]
    assert factory.check(None, below) is not None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("what", ["Procfile", ".env", "app.json", "."])
@pytest.mark.parametrize("mode", [None, 0o777, 0o775], ids=["of another user", "all", "group"])
def test_one_above_that_another_user_may_have_written_is_not(
    tmp_path: Path, factory: SourceFactory, settings: Settings, what: str, mode: int | None
) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("Procfile", ".env", "app.json"):
        (tmp_path / name).write_text("")
    below = settings._replace(directory=str(tmp_path / "sub"))
    assert factory.applies(below) is Claim.FOUND
    if mode is None:
        os.chown(tmp_path / what, 65534, 65534)
    else:
        (tmp_path / what).chmod(mode)
    assert factory.applies(below) is Claim.NONE
    assert factory.applies(settings) is Claim.FOUND  # in the directory itself it is


def test_nothing_is_looked_for_above_a_root_that_is_named(
    tmp_path: Path, factory: SourceFactory, settings: Settings
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "Procfile").write_text("web: ./serve\n")
    below = settings._replace(directory=str(tmp_path / "sub"), has_root=True)
    assert factory.applies(below) is Claim.NONE


def test_it_makes_a_source_of_the_directory(
    tmp_path: Path, factory: SourceFactory, settings: Settings
) -> None:
    (tmp_path / "Procfile").write_text("web: ./serve\n")
    assert factory.create(settings).fetch().release.process("web") is not None
    assert factory.check(None, settings).faults == ()


def loaded_after(code: str) -> set[str]:
    listing = "import sys; print(*sys.modules)"
    command = [sys.executable, "-c", f"{code}; {listing}"]
    result = subprocess.run(command, capture_output=True, check=True, text=True)
    return set(result.stdout.split())


def test_registering_loads_none_of_the_rest() -> None:
    loaded = loaded_after("import hsup_source_procfile.hooks")
    assert {name for name in loaded if name.startswith("hsup_source_procfile.")} == {
        "hsup_source_procfile.hooks"
    }


def test_a_procfile_by_itself_is_fetched_without_what_is_heavy(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: ./serve\n")
    loaded = loaded_after(
        "from pathlib import Path; from hsup.api import Settings;"
        "from hsup_source_procfile.source import ProcfileSource;"
        f"ProcfileSource(Settings(directory=Path({str(tmp_path)!r}), environ={{}})).fetch()"
    )
    assert not loaded & {"asyncio", "asyncinotify", "dotenv", "json", "difflib"}
