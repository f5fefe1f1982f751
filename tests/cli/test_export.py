from __future__ import annotations

import os
import pwd
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.calling import call, failed
from tests.conftest import Installer


def test_export_prints_the_files(directory: Path) -> None:
    (directory / ".env").write_text("SECRET=s\n")
    ended = call("export", "systemd", "-m", "all=1,web=2", "-p", "7000", "--user", "ada")
    assert ended.exit_code == 0
    for part in (
        "# shop.target\n# Written by hsup export systemd of shop\n[Unit]\n",
        "# shop-web.2.service\n",
        'SECRET="s"\n',
        'PORT="7001"\n',
        "User=ada\n",
        f"WorkingDirectory={directory}\n",
        "hsup: printed only; name a directory to write them: hsup export systemd DIRECTORY\n",
    ):
        assert part in ended.output
    assert "systemctl" not in ended.output


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("form", ["systemd", "supervisord", "launchd"])
def test_files_of_dynos_that_are_no_longer_exported_are_removed(form: str, tmp_path: Path) -> None:
    there = tmp_path / "there"
    call("export", form, str(there), "-m", "web=1")
    fewer = {path.name for path in there.iterdir()}
    call("export", form, str(there), "-m", "web=2")
    gone = {path.name for path in there.iterdir()} - fewer
    assert gone
    for app in ("shop2", "shop-web"):
        call("export", form, str(there), "-m", "web=2", "--app", app)
    call("export", "docker-compose", str(there), "-m", "web=2")
    (there / "shop-web.3.env").write_text("MINE=1\n")
    link = there / "shop-web.4.env"
    link.symlink_to(there / min(gone))
    before = {path.name for path in there.iterdir()}
    ended = call("export", form, str(there), "-m", "web=1")
    assert {path.name for path in there.iterdir()} == before - gone
    for name in gone:
        assert f"hsup: removed {there}/{name}, which is no longer part of" in ended.output
    assert "hsup: stop the dynos of the removed files, if they run\n" in ended.output


@pytest.mark.usefixtures("directory")
def test_export_writes_files_for_its_user_alone(tmp_path: Path) -> None:
    there = tmp_path / "units"
    for _ in range(2):  # also over those of the last time
        ended = call("export", "supervisord", str(there))
        assert ended.exit_code == 0, ended.exception
        assert {path.name for path in there.iterdir()} == {
            "shop.conf",
            "shop-web.1.sh",
            "shop-worker.1.sh",
        }
        assert f"hsup: wrote {there}/shop.conf\n" in ended.output
        for path in there.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            path.chmod(0o644)


@pytest.mark.usefixtures("directory")
def test_what_somebody_else_has_written_is_not_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "compose.yaml"
    mine.write_text("services: {}\n")
    told = f"{mine} is there already, and not from hsup export of this application; overwrite it"
    assert str(failed("export", "docker-compose", str(tmp_path))).startswith(told)
    assert mine.read_text() == "services: {}\n"
    call("export", "docker-compose", str(tmp_path / "there"), "--app", "another")
    told = f"{tmp_path}/there/compose.yaml is there already"
    assert told in str(failed("export", "docker-compose", str(tmp_path / "there")))
    assert call("export", "docker-compose", str(tmp_path), "--force").exit_code == 0
    assert "web.1" in mine.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_that_may_not_be_read_is_not_taken_for_somebody_elses(directory: Path) -> None:
    call("export", "systemd", str(directory))
    unit = directory / "shop.target"
    os.chown(unit, 65534, 65534)
    caps = "-dac_override,-dac_read_search"
    export = [sys.executable, "-m", "hsup", "export", "systemd", str(directory)]
    ended = subprocess.run(
        ["setpriv", "--inh-caps", caps, "--bounding-set", caps, *export],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    told = f"cannot read {unit}, which is there already: Permission denied; overwrite it with"
    assert told in ended.stderr
    assert ended.returncode == 1


@pytest.mark.usefixtures("directory")
def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").symlink_to(tmp_path / "elsewhere")
    assert "is there already" in str(failed("export", "docker-compose", str(tmp_path)))
    assert call("export", "docker-compose", str(tmp_path), "--force").exit_code == 0
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("directory")
def test_nothing_is_written_where_others_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    told = f"cannot write to {tmp_path}: others than you and root may write there, too"
    assert told in str(failed("export", "systemd", str(tmp_path)))


@pytest.mark.usefixtures("directory")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: to give files away")
def test_the_user_of_the_dynos_may_read_what_is_run_as_that_user(tmp_path: Path) -> None:
    there = tmp_path / "there"
    assert call("export", "supervisord", str(there), "--user", "nobody").exit_code == 0
    nobody = pwd.getpwnam("nobody").pw_uid
    assert (there / "shop-web.1.sh").stat().st_uid == nobody
    assert (there / "shop.conf").stat().st_uid == 0
    assert call("export", "supervisord", str(there), "--user", "12345").exit_code == 0
    assert (there / "shop-web.1.sh").stat().st_uid == 12345


@pytest.mark.usefixtures("directory")
def test_a_user_whom_this_machine_does_not_have_is_told(tmp_path: Path) -> None:
    """It may be one of the machine that gets the files."""
    told = 'hsup: warning: this machine has no user "{}" to run the dynos as\n'
    for name in ("shpo", str(2**32 - 1), "54321"):
        ended = call("export", "supervisord", str(tmp_path / "there"), "--user", name)
        assert told.format(name) in ended.output
        assert f"user={name}\n" in (tmp_path / "there" / "shop.conf").read_text()
        for form in ("systemd", "launchd"):
            assert told.format(name) in call("export", form, "--user", name).output
        # Containers run as any number.
        ended = call("export", "docker-compose", "--user", name)
        assert (told.format(name) in ended.output) == (name == "shpo")
        assert re.search(f"user: .?{name}.?\n", ended.output)
    for name in ("a\nb", "a ;b", "%u", "-u"):
        told = f'"{name}" is not the name of a user'
        assert told in str(failed("export", "systemd", f"--user={name}"))


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("systemd", "User=daemon\n"),
        ("supervisord", "user=daemon\n"),
        ("launchd", "<string>daemon</string>"),
        ("docker-compose", 'user: "1:1"'),
    ],
)
def test_the_number_of_a_user_stands_for_its_name(form: str, line: str) -> None:
    for user in ("daemon", str(pwd.getpwnam("daemon").pw_uid)):
        ended = call("export", form, "--user", user)
        assert line in ended.output
        assert "warning" not in ended.output


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("form", ["systemd", "supervisord", "launchd", "docker-compose"])
def test_without_dynos_nothing_is_exported(form: str, tmp_path: Path) -> None:
    told = "there is nothing to export: the formation has no dynos; ask for some, as in -m all=1"
    assert str(failed("export", form, str(tmp_path / "there"), "-m", "all=0")) == told
    assert not (tmp_path / "there").exists()


def test_the_code_of_other_sources_has_to_be_named(tmp_path: Path) -> None:
    (tmp_path / "new").write_text('{"Processes": [{"Type": "web", "Quantity": 1, "Args": ["x"]}]}')
    control = {"HSUP_CONTROL_DIR": str(tmp_path)}
    told = "cannot export a release whose code is not in a directory of a Procfile"
    assert told in str(failed("export", "systemd", **control))
    ended = call("export", "systemd", "--root", str(tmp_path), **control)
    assert f"WorkingDirectory={tmp_path}\n" in ended.output


def test_a_release_phase_is_exported_where_that_can_be_done(directory: Path) -> None:
    (directory / "Procfile").write_text("web: serve\nrelease: migrate\n")
    assert "# shop-release.service\n" in call("export", "systemd").output
    assert "the release phase is not exported" in call("export", "launchd").output


@pytest.mark.usefixtures("directory")
def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    assert "is missing" in str(failed("export"))
    assert str(failed("export", "x")).startswith('FORMAT must be "systemd", "supervisord", ')
    assert "-p auto cannot be exported" in str(failed("export", "systemd", "-p", "auto"))
    (tmp_path / "file").touch()
    assert f"cannot write {tmp_path}/file: " in str(
        failed("export", "launchd", str(tmp_path / "file"))
    )
    assert 'has no process type "wbe"' in str(failed("export", "launchd", "-m", "wbe=2"))


def exported_dynos(*words: str) -> list[str]:
    ended = call("export", "systemd", *words)
    assert ended.exit_code == 0, ended.exception
    return re.findall(r"^# shop-(.*)\.service$", ended.output, re.MULTILINE)


def test_quantities_are_asked_for_as_for_start(directory: Path) -> None:
    (directory / "app.json").write_text('{"formation": {"web": {"quantity": 2}}}')
    told = "the release asks for web=2; export as many with --quantities release\n"
    assert f"hsup: Notice: {told}" in call("export", "systemd").output
    assert exported_dynos() == ["web.1", "worker.1"]
    assert told not in call("export", "systemd", "web=1").output
    assert exported_dynos("--quantities", "release") == ["web.1", "web.2", "worker.1"]
    assert exported_dynos("web=2") == ["web.1", "web.2"]
    assert exported_dynos("worker=1", "web") == ["web.1", "worker.1"]
    hint = "--quantities release cannot be used together with TYPE or --formation"
    assert str(failed("export", "systemd", "--quantities", "release", "web=1")) == hint


@pytest.mark.usefixtures("directory")
def test_the_types_are_after_the_directory(tmp_path: Path) -> None:
    there = tmp_path / "a=b"
    call("export", "systemd", str(there), "web=2")
    assert len([*there.glob("*.service")]) == 2


# A source that says how many dynos there are.
FOLLOWED = """
from hsup import hookimpl
from hsup.api import Claim, Fetched
from hsup.model import Command, ProcessType, Release

class Source:
    def fetch(self):
        return Fetched(Release("shop", 1, processes=(ProcessType("web", Command(("x",)), 2),)))

    async def changes(self):
        yield

class Factory:
    remedy = "ask for it"
    check = print
    follows_formation = True

    def create(self, settings):
        return Source()

    def applies(self, settings):
        return Claim.NONE

@hookimpl
def hsup_register_sources():
    return {"followed": Factory()}
"""


def test_a_source_that_says_how_many_there_are_is_followed(
    directory: Path, install: Installer
) -> None:
    install("hsup-followed", FOLLOWED)
    words = ("--source", "followed", "--root", str(directory))
    assert exported_dynos(*words) == ["web.1", "web.2"]
    assert exported_dynos(*words, "--quantities", "one") == ["web.1"]


@pytest.mark.usefixtures("directory")
@pytest.mark.parametrize("form", ["systemd", "supervisord", "launchd", "docker-compose"])
def test_log_drains_are_told_not_to_be_exported(form: str, tmp_path: Path) -> None:
    url = "https://user:s3cret@logs.example/in"
    ended = call("export", form, str(tmp_path / "out"), "--user", "root", HSUP_DRAIN=url)
    assert ended.exit_code == 0
    assert "hsup: warning: log drains are not exported" in ended.stderr
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if "s3cret" in path.read_text()]
    assert "s3cret" not in ended.output
