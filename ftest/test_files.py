"""What a dyno sees of files, of itself and of others: root, scratch, user, processes."""

from __future__ import annotations

import re
import socket

import pytest

from ftest.program import Hsup

pytestmark = pytest.mark.containers_only("a dyno of the simple driver sees what hsup sees")


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


def test_the_user_is_called_dyno_and_has_a_number_from_the_range(hsup: Hsup) -> None:
    done = hsup.call("run", "whoami; id -un; id -gn; id -Gn; id -u; echo ~; getent passwd dyno")
    user, name, group, groups, uid, home, entry = done.text.splitlines()
    assert (user, name, group, groups, home) == ("dyno", "dyno", "dyno", "dyno", "/app")
    assert 3000 <= int(uid) <= 11000
    assert entry.startswith(f"dyno:x:{uid}:")


@pytest.mark.parametrize("place", ["", "/etc", "/usr/bin", "/var", "/root", "/sys", "/proc"])
def test_the_root_is_read_only(hsup: Hsup, place: str) -> None:
    done = hsup.call("run", f"touch {place}/x")
    assert done.status == 1
    assert re.search("Read-only file system|Permission denied|No such file", done.message)


def test_the_hostname_is_the_dynos_own_and_known(hsup: Hsup) -> None:
    done = hsup.call("run", "hostname; getent hosts $(hostname); getent hosts localhost")
    name, own, local = done.text.splitlines()
    assert name != socket.gethostname()
    assert own.split()[1] == name
    assert local.split()[0] in {"127.0.0.1", "::1"}


def test_only_processes_of_the_dyno_are_seen(hsup: Hsup) -> None:
    done = hsup.call("run", "ps -eo pid,comm --no-headers; echo $$")
    seen = [line.split() for line in done.text.splitlines()]
    assert len(seen) <= 4
    assert int(seen[-1][0]) < 10


def test_another_process_that_the_dyno_orphans_is_reaped(hsup: Hsup) -> None:
    line = "(sleep 0.05 & ) ; sleep 0.3; ps -eo stat,comm --no-headers | grep -c '^Z'"
    assert hsup.call("run", line).text == "0\n"


def test_devices_are_the_few_that_any_program_may_have(hsup: Hsup) -> None:
    find = "find . -type c -o -type b | sort"
    done = hsup.call("run", f"cd /dev; {find}; head -c 3 /dev/urandom | wc -c")
    *devices, count = done.text.splitlines()
    usual = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx", "console"}
    assert {"./null", "./urandom", "./tty"} <= set(devices)
    assert set(devices) <= {f"./{one}" for one in usual}
    assert count == "3"


def test_names_are_resolved_by_a_server_that_can_be_reached(hsup: Hsup) -> None:
    done = hsup.call("run", "grep ^nameserver /etc/resolv.conf")
    assert done.status == 0
    assert "nameserver 127." not in done.text


def test_a_bound_directory_is_shared_with_the_host(
    hsup: Hsup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    shared.chmod(0o777)
    (shared / "from-host").write_text("host\n")
    done = hsup.call(
        "run",
        "--bind",
        f"{shared}:/data/in",
        "cat /data/in/from-host; echo dyno > /data/in/from-dyno",
    )
    assert (done.text, done.status) == ("host\n", 0)
    assert (shared / "from-dyno").read_text() == "dyno\n"


def test_a_bound_directory_may_be_read_only(
    hsup: Hsup, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    shared.chmod(0o777)
    (shared / "from-host").write_text("host\n")
    line = "cat /data/from-host; echo dyno > /data/from-dyno"
    done = hsup.call("run", line, env={"HSUP_BIND": f"{shared}:/data:ro"})
    assert (done.text, done.status) == ("host\n", 1)
    assert "Read-only file system" in done.message
    assert not (shared / "from-dyno").exists()


def test_a_file_may_be_bound(hsup: Hsup, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("shared") / "file"
    file.write_text("host\n")
    for target in ("/app/file", "/etc/file", "/tmp/deep/file"):
        assert hsup.call("--bind", f"{file}:{target}", "run", f"cat {target}").text == "host\n"


def test_a_bind_of_what_is_not_there_is_named(hsup: Hsup) -> None:
    done = hsup.call("--bind", "/no/such/directory:/data", "run", "true")
    assert done.status in {1, 2}
    assert "/no/such/directory" in done.message
    assert "Traceback" not in done.message
