from __future__ import annotations

import os
import pty

import pytest

from hsup.config import read_settings, wants_colour


def test_settings_have_the_environment_of_the_moment(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FROB", "1")
    settings = read_settings(app="shop", control_socket=None, logplex_url="https://logs.example")
    monkeypatch.setenv("FROB", "2")
    assert settings.environ["FROB"] == "1"
    assert settings.folder == str(tmp_path)
    assert (settings.app, settings.logplex_url) == ("shop", "https://logs.example")


@pytest.fixture
def terminal():
    master, slave = pty.openpty()
    yield slave
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(("no_color", "wanted"), [(None, True), ("", True), ("1", False)])
def test_a_terminal_is_coloured_unless_no_color_is_set(terminal, monkeypatch, no_color, wanted):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert wants_colour(terminal) == wanted


def test_a_pipe_is_not_coloured(pipe, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not wants_colour(pipe[1])
