"""Archives are fetched and read by the store of slugs in these tests."""

from __future__ import annotations

import os
from types import ModuleType

import pytest

from tests.archives.server import Server
from tests.slugs.conftest import (
    archive,
    build,
    left_over,
    make_store,
    read,
    server,
    silent,
    store,
    unpacked,
)

__all__ = [
    "archive",
    "build",
    "left_over",
    "make_store",
    "read",
    "server",
    "silent",
    "store",
    "unpacked",
]


@pytest.fixture
def large(server: Server, build: ModuleType) -> Server:
    """Give the server a slug of 2 MB that does not compress."""
    server.content = build.slug(os.urandom(2_000_000))
    return server


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the rate over a tenth of a second."""
    monkeypatch.setattr("hsup.archives.download.MIN_RATE_SECONDS", 0.1)
