"""Call hsup's command line in the process of the test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from click.testing import CliRunner, Result

from hsup.cli.commands import hsup as command_line
from hsup.errors import HsupError


def call(*words: str, **variables: str | None) -> Result:
    with _closing_directories():
        return CliRunner().invoke(command_line, words, env=variables, prog_name="hsup")


@contextmanager
def _closing_directories() -> Iterator[None]:
    """Close the directories that a source keeps open until hsup ends."""
    before = _directories()
    yield
    for descriptor in _directories() - before:
        os.close(descriptor)


def _directories() -> set[int]:
    """Return the descriptors of this process that are directories."""
    numbers = os.listdir("/proc/self/fd")  # one of them is that directory, closed by now
    return {int(one) for one in numbers if os.path.isdir(f"/proc/self/fd/{one}")}


def failed(*words: str, **variables: str | None) -> HsupError:
    """Return the HsupError that a call ends with."""
    error = call(*words, **variables).exception
    assert isinstance(error, HsupError), error
    return error
