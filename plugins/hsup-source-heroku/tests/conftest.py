"""A Platform API of the test's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hsup_source_heroku.testing import PlatformApi


@pytest.fixture
def api(monkeypatch) -> Iterator[PlatformApi]:
    """Give a server that listens; at the end, all its answers were as published."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with PlatformApi() as running:
        yield running
    assert running.invalid == []
