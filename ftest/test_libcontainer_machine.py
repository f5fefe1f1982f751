"""What the machine lacks is one sentence with the remedy, before anything is created."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ftest import leftovers
from ftest.program import STACK, Finished, Hsup, process


def after(line: str, *options: str) -> tuple[str, ...]:
    """Return what starts a command in a mount namespace of its own, after a line of shell."""
    return ("unshare", "--mount", *options, "sh", "-c", f'set -e; {line}; exec "$@"', "sh")


WITHOUT_NFT = after('mount --bind /dev/null "$(readlink -f "$(command -v nft)")"')

#: An ordinary user, who may read the files of root's Python all the same.
ORDINARY = (
    "setpriv",
    "--reuid=65534",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
)


@pytest.fixture(autouse=True)
def app(hsup: Hsup) -> None:
    hsup.procfile(one="true")


def assert_sentence(done: Finished, *expected: str) -> None:
    """See that hsup refused in one line, which has certain words in it."""
    __tracebackhide__ = True
    assert done.status in {1, 2}, done
    assert done.message.startswith("hsup: "), done.message
    assert done.message.count("\n") == 1, done.message
    for word in expected:
        assert word in done.message, done.message


def refuse(hsup: Hsup, *expected: str, **surroundings: Any) -> None:
    """See that neither `run` nor `start` creates anything where something is missing."""
    __tracebackhide__ = True
    before = leftovers.taken()
    assert_sentence(hsup.call("run", "true", **surroundings), *expected)
    done = hsup.call("start", "--oneshot", timeout=10, **surroundings)
    assert done.status != 0
    assert all(word in done.text + done.message for word in expected), done
    assert "Traceback" not in done.text + done.message
    assert not leftovers.since(before)


def test_only_root_can_use_the_driver(hsup: Hsup) -> None:
    refuse(hsup, "root", prefix=ORDINARY)


def test_a_machine_without_nft_is_told(hsup: Hsup) -> None:
    refuse(hsup, "nft", "nftables", prefix=WITHOUT_NFT)


def test_a_machine_without_cgroups_is_told(hsup: Hsup) -> None:
    refuse(hsup, "cgroup", prefix=after("mount -t tmpfs none /sys/fs/cgroup"))


def test_a_machine_without_a_controller_is_told(hsup: Hsup) -> None:
    if not Path("/sys/fs/cgroup/pids").is_dir():
        pytest.skip("cgroup version 2 has all controllers in one file system")
    refuse(hsup, "pids", prefix=after("umount /sys/fs/cgroup/pids"))


def test_a_subnet_that_the_host_uses_is_told(hsup: Hsup) -> None:
    name, block = "LIBCONTAINER_DYNO_SUBNET", "10.231.0.0/16"
    prefix = after(f"ip link set lo up; ip route add {block} dev lo", "--net")
    refuse(hsup, name, block, prefix=prefix, env={name: "10.231.1.0/24"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LIBCONTAINER_DYNO_SUBNET", "nonsense"),
        ("LIBCONTAINER_DYNO_SUBNET", "10.0.0.0/31"),
        ("LIBCONTAINER_DYNO_UID_MIN", "many"),
        ("LIBCONTAINER_DYNO_UID_MIN", "0"),
        ("LIBCONTAINER_DYNO_UID_MAX", "2999"),
        ("LIBCONTAINER_DYNO_EXTRA_INTERFACE", "eth1"),
        ("LIBCONTAINER_DYNO_EXTRA_ROUTES", "nowhere"),
        ("LIBCONTAINER_DYNO_SIZE", "huge"),
    ],
)
def test_a_variable_that_makes_no_sense_is_named(hsup: Hsup, name: str, value: str) -> None:
    done = hsup.call("run", "true", env={name: value})
    assert_sentence(done, name, value)
    assert done.status == 2


def test_a_stack_that_is_not_there_is_named(hsup: Hsup) -> None:
    hsup.release(Stack="no-such-stack", Processes=[process("one", "true")])
    refuse(hsup, "no-such-stack", "hsup stacks")


def test_without_any_stack_the_remedy_is_told(hsup: Hsup) -> None:
    refuse(hsup, "hsup stacks", env={"HSUP_STACKS_DIR": str(hsup.directory / "none")})


def test_a_stack_without_bash_is_told(hsup: Hsup) -> None:
    """Both when it is imported and, a directory being used where it is, when it is used."""
    hsup.environ["HSUP_STACKS_DIR"] = str(hsup.directory / "stacks")
    root, words = hsup.directory / "root", ("stacks", "import", "bare")
    (root / "bin").mkdir(parents=True)
    assert_sentence(hsup.call(*words, str(root)), "bash", "bare")
    for name in ("bash", "sh"):
        shutil.copy("/bin/sh", root / "bin" / name)
    assert hsup.call(*words, str(root), "--primary").status == 0
    (root / "bin/bash").unlink()
    refuse(hsup, "bash", "bare")


def test_the_stacks_are_listed(hsup: Hsup) -> None:
    done = hsup.call("stacks", "list")
    assert done.status == 0
    assert STACK in done.text


def test_the_doctor_lists_what_the_driver_needs(hsup: Hsup) -> None:
    done = hsup.call("doctor")
    assert done.status == 0, done
    for subject in ("root", "nft", "cgroup", "stack"):
        assert subject in done.text.lower()


def test_the_doctor_explains_how_a_dyno_is_started(hsup: Hsup) -> None:
    data = hsup.directory / "data"
    data.mkdir()
    done = hsup.call("--bind", f"{data}:/mnt/data:ro", "doctor", "--explain")
    assert done.status == 0, done
    for step in (
        "make the cgroup ",
        "in the dyno: make the default route",
        "mount the stack at / (overlay, ro, nosuid, nodev, ",
        f"open {data} (recursive, ro, nosuid, nodev)",
        f"bind {data} at /mnt/data",
    ):
        assert step in done.text
    assert f"attach {hsup.directory}" in done.text


def test_the_doctor_tells_what_is_missing_and_the_remedy(hsup: Hsup) -> None:
    done = hsup.call("doctor", prefix=WITHOUT_NFT)
    assert done.status == 1
    assert "nftables" in done.text
