"""A control directory to put releases into."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    control = tmp_path / "control"
    control.mkdir()
    return control


@pytest.fixture
def version() -> Callable[..., bytes]:
    """Return the content of a valid control file with a version."""

    def content(number: int, **more: object) -> bytes:
        return json.dumps({"Version": number, "Processes": [], **more}).encode()

    return content
