"""A folder with an application, and an environment without hsup's variables."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR", "HSUP_DRIVER", "HSUP_SOURCE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """Take away what `hsup start` adds to hsup's own logger."""
    logger = logging.getLogger("hsup")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with an application the current one."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "Procfile").write_text("web: ./serve\nworker: ./work\n")
    monkeypatch.chdir(folder)
    return folder
