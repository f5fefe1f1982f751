"""The Debian package: installed, started, upgraded under a running application, and removed."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ftest.packaging.machine import STACK, Machine
from ftest.program import eventually

DROP_IN = "/etc/systemd/system/hsup@shop.service.d/user.conf"
UNIT = "hsup@shop"
DYNO = "echo dyno of $(id -un); exec sleep"


def procfile(machine: Machine, seconds: str) -> None:
    """Point the application `shop` at a release with a Procfile: its only dyno sleeps so long."""
    machine.run("id shop >/dev/null 2>&1 || useradd --create-home shop")
    machine.write("/etc/hsup/shop.env", "HSUP_ROOT=/srv/shop/current\n")
    machine.write(DROP_IN, "[Service]\nUser=shop\n")
    machine.write(f"/srv/shop/{seconds}/Procfile", f"work: {DYNO} {seconds}\n")
    machine.run(f"cd /srv/shop && ln -s {seconds} next && mv -T next current")


def control(machine: Machine, seconds: str) -> None:
    """Give it one in its control directory, with dynos in containers."""
    machine.run(f"hsup stacks import cedar-14 {STACK} --primary")
    machine.write(
        "/etc/hsup/shop.env", "HSUP_CONTROL_DIR=/etc/hsup/shop\nHSUP_DRIVER=libcontainer\n"
    )
    dyno = {"Type": "work", "Quantity": 1, "Args": [f"{DYNO} {seconds}"]}
    release = {"Version": int(float(seconds)), "Processes": [dyno]}
    machine.write("/etc/hsup/shop/new", json.dumps(release))


Release = Callable[[Machine, str], None]
USERS: dict[Release, str] = {procfile: "shop", control: "dyno"}
#: What has hsup import a module, or start a helper program of its own, and restart the dyno.
LATER: dict[Release, str] = {
    procfile: "echo COLOUR=red >/srv/shop/current/.env",
    control: "pkill -KILL -f 'child[.]zygote'; pkill -KILL -xf 'sleep 1000.1'",
}
EACH = pytest.mark.parametrize("release", USERS)


def enable(machine: Machine, package: Path, release: Release) -> None:
    """Install a package, and have its unit run a release, now and at each boot."""
    machine.install(package)
    release(machine, "1000.1")
    machine.run(f"systemctl enable --now {UNIT}")
    machine.sleeper("1000.1")


def version(package: Path) -> str:
    return package.name.split("_")[1]


def release_of(package: Path) -> str:
    return f"/usr/lib/hsup/{version(package)}"


def test_lintian_finds_nothing(packages: list[Path]) -> None:
    for package in packages:
        changes = package.with_suffix(".changes")
        lintian = ["lintian", "--allow-root", "--fail-on", "error,warning", str(changes)]
        done = subprocess.run(lintian, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "")


def test_it_names_who_has_made_it(packages: list[Path]) -> None:
    field = ["dpkg-deb", "--field", str(packages[0]), "Maintainer"]
    made = subprocess.run(field, capture_output=True, text=True, check=True).stdout
    assert made == "Smith & Sons/Daughters <hsup@hsup.invalid>\n"


def test_what_is_installed_is_used_from_a_shell(machine: Machine, packages: list[Path]) -> None:
    machine.install(packages[0])
    python = f"{release_of(packages[0])}/bin/python3"
    assert machine.run("head -n 1 /usr/bin/hsup") == f"#!{python}"
    plugins = machine.run("hsup plugins")
    for plugin in ("driver-docker", "driver-libcontainer", "driver-simple"):
        assert f"{plugin} " in plugins
    for plugin in ("source-directory", "source-heroku", "source-procfile"):
        assert f"{plugin} " in plugins
    assert "start dynos" in machine.run("man --warnings hsup-start 2>&1")
    assert "hsup-stacks-pull (1)" in machine.run("apropos hsup")
    loader = "/usr/share/bash-completion/bash_completion"
    completed = f"bash -c '. {loader}; _completion_loader hsup; complete -p hsup'"
    assert machine.run(completed) == "complete -o nosort -F _hsup_completion hsup"
    assert machine.run("zcat /usr/share/doc/hsup/changelog.gz").startswith("# Changelog\n")
    assert "python-prctl" in machine.run("cat /usr/share/doc/hsup/copyright")
    assert not machine.run("dpkg --verify hsup")
    assert not machine.run("systemd-analyze verify hsup@shop.service 2>&1")


def test_plugins_that_are_not_in_it_are_found_in_a_directory_of_their_own(
    machine: Machine, packages: list[Path]
) -> None:
    machine.install(packages[0])
    directory = "/usr/local/lib/hsup/plugins"
    done = machine.tried("cd /srv && echo web: true >Procfile && hsup run -d nosuch true")
    assert f"pip install --no-deps --target {directory} PACKAGE" in done.message
    machine.write(f"{directory}/mine.py", "from hsup import hookimpl\n")
    metadata = "Metadata-Version: 2.1\nName: hsup-mine\nVersion: 1.2\n"
    machine.write(f"{directory}/hsup_mine-1.2.dist-info/METADATA", metadata)
    machine.write(f"{directory}/hsup_mine-1.2.dist-info/entry_points.txt", "[hsup]\nmine = mine\n")
    assert re.search(r"^mine +hsup-mine +1\.2", machine.run("hsup plugins"), re.MULTILINE)


@EACH
def test_an_application_is_run_reloaded_and_stopped(
    machine: Machine, packages: list[Path], release: Release
) -> None:
    enable(machine, packages[0], release)
    assert eventually(lambda: f"| dyno of {USERS[release]}" in machine.log())
    assert re.search(r"Release v\d+ created\n", machine.log())
    machine.run(f"systemctl reload {UNIT}")
    release(machine, "2000.1")
    machine.sleeper("2000.1")
    machine.run(f"systemctl stop {UNIT}")
    assert not machine.running()
    assert machine.run(f"systemctl show -p Result --value {UNIT}") == "success"


def test_an_instance_without_an_application_is_not_restarted(
    machine: Machine, packages: list[Path]
) -> None:
    machine.install(packages[0])
    machine.run("systemctl start hsup@nothing")
    assert eventually(lambda: machine.tried("systemctl is-failed hsup@nothing").status == 0)
    assert machine.run("systemctl show -p NRestarts --value hsup@nothing") == "0"


@EACH
def test_what_runs_goes_on_through_an_upgrade(
    machine: Machine, packages: list[Path], release: Release
) -> None:
    older, newer = packages
    machine.install(older)
    release(machine, "1000.1")
    machine.run(f"systemctl start {UNIT}")
    hsup, dyno = machine.pid(UNIT), machine.sleeper("1000.1")

    machine.install(newer)
    assert (machine.pid(UNIT), machine.sleeper("1000.1")) == (hsup, dyno)
    assert machine.run("realpath /usr/bin/hsup") == f"{release_of(newer)}/bin/hsup"

    machine.run(f"kill -KILL {dyno}")
    dyno = machine.sleeper("1000.1", other_than=dyno)
    machine.run(LATER[release])
    machine.sleeper("1000.1", other_than=dyno)
    release(machine, "2000.1")
    machine.sleeper("2000.1")
    assert machine.pid(UNIT) == hsup
    assert machine.command(hsup).startswith(f"{release_of(older)}/bin/python3 ")

    machine.run(f"systemctl restart {UNIT}")
    machine.sleeper("2000.1")
    assert machine.command(machine.pid(UNIT)).startswith(f"{release_of(newer)}/bin/python3 ")


def test_releases_that_nothing_runs_from_are_removed(
    machine: Machine, packages: list[Path]
) -> None:
    older, newer = packages
    machine.install(older)
    procfile(machine, "1000.1")
    not_utf8 = r"/usr/lib/hsup/\xff"
    machine.run(f"""bash -c "exec -a $'{not_utf8}' sleep 1000.2" >/dev/null 2>&1 &""")
    machine.run(f"systemctl start {UNIT}")
    for package in (newer, newer, older, newer):
        machine.install(package)
        kept = {release_of(older), release_of(package)}
        assert set(machine.run("ls -d /usr/lib/hsup/0*").split()) == kept
    machine.run(f"systemctl restart {UNIT}")
    machine.install(newer)
    assert machine.run("ls /usr/lib/hsup").split() == [version(newer), "current", "package"]
    machine.sleeper("1000.1")


def test_it_is_not_removed_while_hsup_runs_in_a_unit_of_ones_own(
    machine: Machine, packages: list[Path]
) -> None:
    machine.install(packages[0])
    procfile(machine, "1000.1")
    machine.write("/srv/other/Procfile", "work: exec sleep 2000.1\n")
    machine.run(f"systemctl start {UNIT}")
    machine.run("systemd-run --unit other --working-directory /srv/other hsup start")
    hsup, other = machine.pid(UNIT), machine.pid("other")
    machine.sleeper("1000.1")
    machine.sleeper("2000.1")

    refused = machine.tried("apt-get remove -y hsup 2>&1")
    assert refused.status
    # apt-get shows it as a terminal does.
    assert re.search(rf"hsup runs and cannot be removed; .*, or kill {other}\r?\n", refused.text)
    assert (machine.pid(UNIT), machine.pid("other")) == (hsup, other)
    assert not machine.run("dpkg --audit; dpkg --verify hsup")

    machine.run(f"kill {other}")
    assert eventually(lambda: not machine.pid("other"))
    machine.run("apt-get remove -y hsup")
    assert not machine.running()


@EACH
def test_nothing_is_left_of_a_package_that_is_purged(
    machine: Machine, packages: list[Path], release: Release
) -> None:
    enable(machine, packages[0], release)
    machine.install(packages[1])

    removed = machine.run("apt-get remove -y hsup 2>&1")
    assert "not empty" not in removed
    assert not machine.running()
    assert not {one for one in machine.changes() if one.startswith("/usr")}
    assert machine.run("cat /etc/hsup/shop.env")

    machine.run("apt-get purge -y hsup")
    mine = ("/srv", "/home", "/etc/sub", DROP_IN.rpartition("/")[0], STACK, "/packages")
    assert {one for one in machine.changes() if not one.startswith(mine)} == {"/var/lib/hsup"}
    assert not machine.run("ls -A /var/lib/hsup")
