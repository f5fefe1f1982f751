"""The plugin registers one source, and is cheap to load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hsup.api import Claim, Settings
from hsup.errors import UsageError
from hsup_source_directory.hooks import hsup_register_sources


def settings(environ: dict[str, str], directory: Path = Path("/")) -> Settings:
    return Settings(directory=str(directory), environ=environ)


def test_the_source_says_what_to_do_for_it() -> None:
    factory = hsup_register_sources()["directory"]
    assert factory.remedy == "set HSUP_CONTROL_DIR to a control directory"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Claim.NONE),
        ({"HSUP_CONTROL_DIR": ""}, Claim.NONE),
        ({"HSUP_CONTROL_DIR": "/x"}, Claim.NAMED),
    ],
)
def test_the_source_applies_where_its_variable_is_set(
    environ: dict[str, str], expected: Claim
) -> None:
    assert hsup_register_sources()["directory"].applies(settings(environ)) is expected


def test_a_relative_directory_is_found_from_where_hsup_was_called(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "new").write_text("{}")
    factory = hsup_register_sources()["directory"]

    source = factory.create(settings({"HSUP_CONTROL_DIR": "control"}, tmp_path))

    release = source.fetch().release
    assert release is not None
    assert release.app == "control"


def test_without_its_variable_the_source_cannot_be_made() -> None:
    factory = hsup_register_sources()["directory"]
    with pytest.raises(UsageError, match="HSUP_CONTROL_DIR is not set; set HSUP_CONTROL_DIR"):
        factory.create(settings({}))


def imported_by(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_hooks_import_nothing_heavy() -> None:
    heavy = {"json", "asyncio", "asyncinotify", "hsup_source_directory.source"}
    assert not imported_by("import hsup_source_directory.hooks") & heavy


def test_a_fetch_needs_no_event_loop() -> None:
    assert not imported_by("import hsup_source_directory.source") & {"asyncio", "asyncinotify"}
