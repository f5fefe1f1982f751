"""Call hsup's command line in the process of the test."""

from __future__ import annotations

from click.testing import CliRunner

from hsup.cli.commands import hsup as command_line
from hsup.errors import HsupError


def call(*words, **variables):
    return CliRunner().invoke(command_line, words, env=variables, prog_name="hsup")


def failed(*words, **variables):
    """Return the HsupError that a call ends with."""
    error = call(*words, **variables).exception
    assert isinstance(error, HsupError), error
    return error
