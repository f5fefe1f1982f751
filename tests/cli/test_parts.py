from __future__ import annotations

import sys

import pytest

from hsup.cli.options import Options
from hsup.cli.parts import Parts
from hsup.errors import DriverError, SourceError, UsageError
from hsup.plugins import manager as plugin_manager
from hsup.plugins.entry_points import entry_points
from tests.cli.calling import call, failed
from tests.cli.telling import TELLING

SINK = """
from hsup import hookimpl

@hookimpl
def hsup_register_log_sinks():
    raise ValueError("a slip")
"""


def test_a_path_cannot_be_bound_by_a_driver_that_binds_none(folder):
    assert isinstance(failed("build", "--bind", str(folder)), DriverError)


def test_paths_are_bound_by_a_driver_that_does(install, folder):
    install("hsup-driver-telling", TELLING)
    assert call("--bind", str(folder), "build", "-d", "telling").exit_code == 0


def test_what_a_signal_handler_says_needs_no_stream_that_may_be_in_use(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    Parts(Options({})).calls.say("waiting")
    assert capfd.readouterr().err == "hsup: waiting\n"


def test_without_a_source_all_remedies_are_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    error = failed("build")
    assert isinstance(error, UsageError)
    text = str(error)
    remedies = [text.index(one) for one in ("HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR", "Procfile")]
    assert remedies == sorted(remedies)


def test_a_variable_that_asks_for_a_missing_source_is_not_overlooked(folder, monkeypatch):
    installed = [one for one in entry_points("hsup") if one.name != "source-heroku"]
    monkeypatch.setattr(plugin_manager, "entry_points", lambda _: installed)
    error = failed("build", HEROKU_ACCESS_TOKEN="secret", HSUP_CONTROL_DIR=str(folder))
    assert "pip install hsup-source-heroku" in str(error)
    assert "secret" not in str(error)


@pytest.mark.usefixtures("folder")
def test_a_control_directory_comes_before_a_procfile(tmp_path):
    control = tmp_path / "control"
    control.mkdir()
    error = failed("build", HSUP_CONTROL_DIR=str(control))
    assert isinstance(error, SourceError)
    assert call("build", "--source", "procfile", HSUP_CONTROL_DIR=str(control)).exit_code == 0


@pytest.mark.usefixtures("folder")
def test_a_broken_plugin_is_told_and_the_rest_works(install):
    install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
    ended = call("build")
    assert ended.exit_code == 0
    assert 'hsup: warning: plugin "driver-frob" of hsup-driver-frob 4.5' in ended.stderr


@pytest.mark.usefixtures("folder")
def test_a_log_sink_hook_that_raises_is_told(install, capsys):
    install("hsup-log-frob", SINK, version="4.5", entry_point="log-frob")
    assert Parts(Options({})).log_sinks() == []
    assert 'plugin "log-frob" of hsup-log-frob 4.5' in capsys.readouterr().err
