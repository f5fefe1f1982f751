"""A directory with an application, and an environment without hsup's variables."""

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
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory with an application the current one."""
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "Procfile").write_text("web: ./serve\nworker: ./work\n")
    monkeypatch.chdir(directory)
    return directory
