"""Call hsup's command line in the process of the test."""

from __future__ import annotations

from click.testing import CliRunner, Result

from hsup.cli.commands import hsup as command_line
from hsup.errors import HsupError


def call(*words: str, **variables: str | None) -> Result:
    return CliRunner().invoke(command_line, words, env=variables, prog_name="hsup")


def failed(*words: str, **variables: str | None) -> HsupError:
    """Return the HsupError that a call ends with."""
    error = call(*words, **variables).exception
    assert isinstance(error, HsupError), error
    return error
