"""A Platform API of the test's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from platform_api import PlatformApi

# Test modules find platform_api beside them.
sys.path.append(os.path.dirname(__file__))


@pytest.fixture
def api(monkeypatch) -> Iterator[PlatformApi]:
    """Give a server that listens; at the end, all its answers were as published."""
    from platform_api import PlatformApi

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with PlatformApi() as running:
        yield running
    assert running.invalid == []
