from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsup.api import Claim
from hsup.cli.components import Components
from hsup.cli.options import Options
from hsup.errors import SourceError, UsageError
from hsup.plugins import manager as plugin_manager
from hsup.plugins.entry_points import entry_points
from tests.cli.calling import call, failed
from tests.cli.telling import TELLING
from tests.conftest import Installer

SINK = """
from hsup import hookimpl

@hookimpl
def hsup_register_log_sinks():
    raise ValueError("a slip")
"""


SOURCE = """
from hsup import hookimpl
from hsup.api import Claim

class Factory:
    remedy = "ask for it"
    create = check = print

    def applies(self, settings):
        return {claim}

@hookimpl
def hsup_register_sources():
    return {{{name!r}: Factory()}}
"""


def test_a_path_cannot_be_bound_by_a_driver_that_binds_none(directory: Path) -> None:
    assert "cannot bind paths" in str(failed("build", "--bind", str(directory)))


def test_paths_are_bound_by_a_driver_that_does(install: Installer, directory: Path) -> None:
    install("hsup-driver-telling", TELLING)
    assert call("--bind", str(directory), "build", "-d", "telling").exit_code == 0


def test_what_a_signal_handler_says_needs_no_stream_that_may_be_in_use(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    Components(Options({})).calls.say("waiting")
    assert capfd.readouterr().err == "hsup: waiting\n"


def test_without_a_source_all_remedies_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = failed("build")
    assert isinstance(error, UsageError)
    text = str(error)
    remedies = [text.index(one) for one in ("Procfile", "HEROKU_ACCESS_TOKEN", "HSUP_CONTROL_DIR")]
    assert remedies == sorted(remedies)


def test_a_variable_that_asks_for_a_missing_source_is_not_overlooked(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = [one for one in entry_points("hsup") if one.name != "source-heroku"]
    monkeypatch.setattr(plugin_manager, "entry_points", lambda _: installed)
    error = failed("build", HEROKU_ACCESS_TOKEN="secret", HSUP_CONTROL_DIR=str(directory))
    assert "pip install -c dist/wheels.txt hsup-source-heroku" in str(error)
    assert "secret" not in str(error)


@pytest.mark.usefixtures("directory")
def test_a_control_directory_comes_before_a_procfile(tmp_path: Path) -> None:
    control = tmp_path / "control"
    control.mkdir()
    error = failed("build", HSUP_CONTROL_DIR=str(control))
    assert isinstance(error, SourceError)
    assert call("build", "--source", "procfile", HSUP_CONTROL_DIR=str(control)).exit_code == 0


@pytest.mark.usefixtures("directory")
def test_a_broken_plugin_is_told_and_the_rest_works(install: Installer) -> None:
    install("hsup-driver-frob", "1 / 0\n", version="4.5", entry_point="driver-frob")
    ended = call("build")
    assert ended.exit_code == 0
    assert 'hsup: warning: plugin "driver-frob" of hsup-driver-frob 4.5' in ended.stderr


@pytest.mark.usefixtures("directory")
def test_a_log_sink_hook_that_raises_is_told(
    install: Installer, capsys: pytest.CaptureFixture[str]
) -> None:
    install("hsup-log-frob", SINK, version="4.5", entry_point="log-frob")
    assert Components(Options({})).log_sinks() == []
    assert 'plugin "log-frob" of hsup-log-frob 4.5' in capsys.readouterr().err


@pytest.fixture
def have_source(install: Installer) -> Callable[[str, str], str]:
    """Return what installs a source with a claim, as an expression."""
    return lambda name, claim: install(f"hsup-{name}", SOURCE.format(name=name, claim=claim))


def chosen(**options: Any) -> str:
    return Components(Options(options)).source_name()


def test_the_order_of_claims_is_that_of_their_sources() -> None:
    assert Claim.PLATFORM > Claim.NAMED > Claim.FOUND > Claim.FALLBACK > Claim.NONE


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("Claim.NONE", "procfile"),
        ("Claim.FALLBACK", "procfile"),
        ("Claim.NAMED", "git"),
        ("Claim.PLATFORM", "git"),
    ],
)
@pytest.mark.usefixtures("directory")
def test_the_strongest_claim_is_used(
    have_source: Callable[[str, str], str],
    capsys: pytest.CaptureFixture[str],
    claim: str,
    source: str,
) -> None:
    have_source("git", claim)
    assert chosen() == source
    assert capsys.readouterr().err == ""


def test_a_weak_claim_is_used_where_there_is_no_other(
    have_source: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    have_source("git", "Claim.FALLBACK")
    assert chosen() == "git"


@pytest.mark.usefixtures("directory")
def test_sources_that_claim_alike_are_told_and_the_first_by_name_is_used(
    have_source: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    have_source("tar", "Claim.FOUND")
    have_source("git", "Claim.FOUND")
    assert chosen() == "git"
    assert capsys.readouterr().err == (
        "hsup: warning: several sources apply equally (git, procfile, tar), using git; "
        "choose one with --source\n"
    )


@pytest.mark.usefixtures("directory")
def test_who_names_a_source_hears_of_no_clash(
    have_source: Callable[[str, str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    have_source("git", "Claim.FOUND")
    assert chosen(source="procfile") == "procfile"
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("claim", ["True", "1 / 0", "settings.nothing"])
def test_a_claim_that_cannot_be_had_is_told_and_keeps_no_other_from_its_own(
    have_source: Callable[[str, str], str], capsys: pytest.CaptureFixture[str], claim: str
) -> None:
    have_source("git", claim)
    assert chosen() == "procfile"
    assert 'hsup: warning: source "git" of hsup-git 1.2.3' in capsys.readouterr().err


def test_without_any_claim_the_missing_procfile_is_told_first(
    have_source: Callable[[str, str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    have_source("git", "Claim.NONE")
    with pytest.raises(UsageError) as caught:
        chosen()
    remedy = f"there is no Procfile in {tmp_path} or above it; write one with hsup init, or name"
    assert str(caught.value).startswith(f"{remedy} one with -f; for releases from elsewhere, ")
    assert str(caught.value).endswith(", or ask for it")


def test_a_file_like_a_procfile_is_named_where_there_is_none(directory: Path) -> None:
    (directory / "Procfile").rename(directory / "Procfile.dev")
    (directory / "Procfile.my dev").touch()
    told = f"no Procfile in {directory} or above it; name another file: -f Procfile.dev or -f"
    assert f"{told} 'Procfile.my dev'" in str(failed("start"))
    told = f"there is no Procfile in {directory}; name another"
    assert told in str(failed("start", "--root", "."))
