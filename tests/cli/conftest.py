"""A directory with an application, and an environment without hsup's variables."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR", "HSUP_DRIVER", "HSUP_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """Take away what `hsup start` adds to hsup's own logger."""
    logger = logging.getLogger("hsup")
    handlers, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def signals_again() -> Iterator[None]:
    """Restore the handlers of signals that `hsup start` replaces."""
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in handlers.items():
        if signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory with an application the current one."""
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "Procfile").write_text("web: ./serve\nworker: ./work\n")
    monkeypatch.chdir(directory)
    return directory
