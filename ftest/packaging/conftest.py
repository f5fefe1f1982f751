"""The packages under test, and a machine for each test."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest import leftovers
from ftest.packaging.machine import Machine


@pytest.fixture(scope="session")
def packages(request: pytest.FixtureRequest) -> list[Path]:
    """Return two builds of the package, the older one first."""
    found = sorted(request.config.getoption("--packages").absolute().glob("hsup_*.deb"))
    assert len(found) == 2
    return found


@pytest.fixture
def machine(request: pytest.FixtureRequest, packages: list[Path]) -> Iterator[Machine]:
    """Boot a machine; remove it, and fail if something is left of it."""
    before = leftovers.taken()
    image, stack = map(request.config.getoption, ("--image", "--stack"))
    name = f"ftest-{random.randrange(1 << 32):x}"
    booted = Machine(image, name, packages[0].parent, stack.absolute())
    yield booted
    booted.remove()
    assert not leftovers.since(before)
