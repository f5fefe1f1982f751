"""The rules exist while any hsup is running, and no longer."""

from __future__ import annotations

import errno
import os
import shutil
import signal
from pathlib import Path

import pytest

from hsup.errors import DriverError
from hsup.locks import EXCLUSIVE_NOW, MAKE, lock_file
from hsup_driver_libcontainer.network import firewall, forwarding, nft

from ..forking import forked  # noqa: TID252 - the name above is no name of a package
from .machine import Machine

DOCKER = (
    "iptables -P FORWARD DROP",
    "iptables -N DOCKER-USER",
    "iptables -A DOCKER-USER -j RETURN",
    "iptables -A FORWARD -j DOCKER-USER",
)
TABLE = f"table inet {nft.TABLE}"


def test_another_hsup_that_never_ends_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewall, "_PATIENCE_SECONDS", 0.0)
    mine = firewall.Firewall(os.environ, str(tmp_path / "my run"))
    path = f"{mine.directory}/making"
    os.makedirs(mine.directory, mode=0o700)
    held = lock_file(path, EXCLUSIVE_NOW, MAKE)
    with pytest.raises(DriverError, match="timed out after 0 s") as caught:
        mine.begin()
    os.close(held)
    assert caught.value.hint == f"run fuser '{path}' to find it"


def killed_hsup(machine: Machine) -> None:
    """Make the leftovers of an hsup that was killed."""
    reading, writing = os.pipe()

    def live() -> None:
        machine.firewall().open()
        os.write(writing, b"open")
        signal.pause()

    pid = forked(live)
    os.close(writing)
    assert os.read(reading, 4) == b"open"
    os.close(reading)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def has_table(machine: Machine) -> bool:
    return TABLE in machine.run("nft list tables")


@pytest.fixture
def docker(machine: Machine) -> None:
    """Make the chains that Docker makes."""
    if machine.run_or_none("iptables -S") is None:
        pytest.skip("needs iptables")
    for command in DOCKER:
        machine.run(command)


def test_the_last_hsup_takes_the_rules_away(machine: Machine) -> None:
    one, other = machine.firewall(), machine.firewall()
    one.open()
    other.open()
    one.close()
    assert has_table(machine)
    other.close()
    assert not has_table(machine)


def test_opening_and_closing_twice_changes_nothing(machine: Machine) -> None:
    firewall = machine.firewall()
    firewall.open()
    firewall.open()
    assert machine.run("nft list table inet hsup").count("masquerade") == 1
    firewall.close()
    firewall.close()
    assert not has_table(machine)


def test_what_was_only_begun_can_be_closed(machine: Machine) -> None:
    firewall = machine.firewall()
    firewall.begin()
    firewall.close()
    assert not has_table(machine)


@pytest.mark.usefixtures("docker")
def test_eight_hsups_at_once_have_rules_and_leave_none(machine: Machine) -> None:
    before = machine.run("iptables -S")

    def live() -> None:
        for _ in range(3):
            firewall = machine.firewall()
            firewall.open()
            assert has_table(machine)
            assert machine.run("iptables -S").count("hsup") == 4
            firewall.close()

    hsups = [forked(live) for _ in range(8)]
    assert [os.waitpid(one, 0)[1] for one in hsups] == [0] * 8
    assert not has_table(machine)
    assert machine.run("iptables -S") == before


@pytest.mark.usefixtures("docker")
def test_what_a_killed_hsup_left_is_swept(machine: Machine) -> None:
    before = machine.run("iptables -S")
    killed_hsup(machine)
    assert has_table(machine)

    assert machine.firewall().sweep() == ("the nftables table inet hsup",)

    assert not has_table(machine)
    assert machine.run("iptables -S") == before
    assert machine.firewall().sweep() == ()


def test_a_sweep_leaves_alone_what_a_living_hsup_uses(machine: Machine) -> None:
    killed_hsup(machine)
    living = machine.firewall()
    living.open()
    assert machine.firewall().sweep() == ()
    assert living.sweep() == ()
    assert has_table(machine)
    living.close()


@pytest.mark.parametrize("command", ["nft flush ruleset", "nft flush table inet hsup"])
def test_rules_that_an_administrator_removed_are_made_again(machine: Machine, command: str) -> None:
    first, second = machine.firewall(), machine.firewall()
    first.open()
    machine.run(command)
    second.open()
    assert "masquerade" in machine.run("nft list table inet hsup")
    second.close()
    first.close()
    assert not has_table(machine)


def test_rules_that_are_gone_already_do_not_keep_hsup_from_closing(machine: Machine) -> None:
    firewall = machine.firewall()
    firewall.open()
    machine.run("nft flush ruleset")
    firewall.close()
    assert list(machine.run_directory.rglob("ip_forward")) == []
    assert list(machine.run_directory.rglob("made")) == []


def test_forwarding_is_turned_on_and_off_again(machine: Machine) -> None:
    assert not forwarding.is_on()
    one, other = machine.firewall(), machine.firewall()
    one.open()
    other.open()
    assert forwarding.is_on()
    one.close()
    assert forwarding.is_on()
    other.close()
    assert not forwarding.is_on()


def test_forwarding_that_was_on_stays_on(machine: Machine) -> None:
    machine.set("net.ipv4.ip_forward", 1)
    firewall = machine.firewall()
    firewall.open()
    firewall.close()
    assert forwarding.is_on()


def test_forwarding_stays_on_for_docker_which_came_later(machine: Machine) -> None:
    firewall = machine.firewall()
    firewall.open()
    for command in DOCKER:
        if machine.run_or_none(command) is None:
            pytest.skip("needs iptables")
    firewall.close()
    assert forwarding.is_on()


@pytest.mark.usefixtures("docker")
def test_dynos_reach_the_world_beside_docker(machine: Machine) -> None:
    world = machine.world()
    dyno = machine.dyno(machine.hsup())
    machine.listen(world, machine.world_ip)
    machine.connect(dyno.namespace, machine.world_ip).close()


def test_dynos_reach_the_world_where_iptables_drops_by_default(machine: Machine) -> None:
    if machine.run_or_none("iptables -P FORWARD DROP") is None:
        pytest.skip("needs iptables")
    world = machine.world()
    dyno = machine.dyno(machine.hsup())
    machine.listen(world, machine.world_ip)
    machine.connect(dyno.namespace, machine.world_ip).close()


@pytest.mark.usefixtures("docker")
def test_networks_of_docker_stay_closed(machine: Machine) -> None:
    world = machine.world()
    machine.run("ip link set up0 down")
    machine.run("ip link set up0 name docker0")
    machine.run("ip link set docker0 up")
    dyno = machine.dyno(machine.hsup())
    machine.listen(world, machine.world_ip)
    with machine.inside(dyno.namespace):
        machine.set("net.ipv4.tcp_syn_retries", 1)
    with pytest.raises(TimeoutError):
        machine.connect(dyno.namespace, machine.world_ip, timeout=0.5)


@pytest.mark.usefixtures("docker")
def test_rules_beside_docker_are_there_once_and_gone_with_the_last(machine: Machine) -> None:
    before = machine.run("iptables -S")
    one, other = machine.firewall(), machine.firewall()
    one.open()
    other.open()
    assert machine.run("iptables -S").count("hsup") == 4
    one.close()
    other.close()
    assert machine.run("iptables -S") == before


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("command", ["iptables -D DOCKER-USER 1", "iptables -F DOCKER-USER"])
def test_rules_that_an_administrator_has_taken_away_keep_none_of_the_others(
    machine: Machine, command: str
) -> None:
    firewall = machine.firewall()
    firewall.open()
    machine.run(command)
    firewall.close()
    assert "hsup" not in machine.run("iptables -S")
    assert not has_table(machine)


@pytest.mark.usefixtures("docker")
def test_rules_of_others_stay_whatever_their_comment(machine: Machine) -> None:
    machine.run("iptables -I DOCKER-USER -m comment --comment xhsup -j RETURN")
    before = machine.run("iptables -S")
    firewall = machine.firewall()
    firewall.open()
    firewall.close()
    assert machine.run("iptables -S") == before


@pytest.mark.usefixtures("docker")
def test_a_rule_about_an_interface_of_that_name_is_not_ours(machine: Machine) -> None:
    machine.run("iptables -I DOCKER-USER -i hsup -j RETURN")
    before = machine.run("iptables -S")
    firewall = machine.firewall()
    firewall.open()
    machine.run("iptables -D DOCKER-USER 1")
    firewall.close()
    assert machine.run("iptables -S") == before


def test_a_removal_that_fails_is_told_and_keeps_nobody_waiting(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    firewall = machine.firewall()
    firewall.open()
    with monkeypatch.context() as patch:
        patch.setattr("hsup_driver_libcontainer.network.nf_tables.remove", refuse)
        firewall.begin_close()
        with pytest.raises(DriverError, match=r"table hsup: Operation not permitted; run nft del"):
            firewall.close()
    firewall.close()
    another = machine.firewall()
    another.open()
    another.close()
    assert not has_table(machine)


@pytest.mark.usefixtures("docker")
def test_rules_are_found_though_their_note_was_never_written(machine: Machine) -> None:
    before = machine.run("iptables -S")
    killed_hsup(machine)
    (note,) = machine.run_directory.rglob("iptables")
    note.write_text("")
    machine.firewall().sweep()
    assert machine.run("iptables -S") == before


def test_iptables_that_do_not_use_nf_tables_are_changed_as_well(machine: Machine) -> None:
    for name in ("iptables", "iptables-restore"):
        legacy = shutil.which(f"{name.replace('iptables', 'iptables-legacy')}")
        if legacy is None:
            pytest.skip("needs iptables-legacy")
        (machine.run_directory / name).symlink_to(legacy)
    if machine.run_or_none("iptables-legacy -P FORWARD DROP") is None:
        pytest.skip("needs a kernel with ip_tables")
    before = machine.run("iptables-legacy -S")
    firewall = machine.firewall(PATH=f"{machine.run_directory}:{os.environ['PATH']}")
    firewall.open()
    assert machine.run("iptables-legacy -S").count("hsup") == 4
    firewall.close()
    assert machine.run("iptables-legacy -S") == before


def test_a_table_that_nobody_has_told_of_is_replaced(machine: Machine) -> None:
    firewall = machine.firewall()
    machine.run(
        "nft -f -",
        "table inet hsup { chain forward { type filter hook forward priority filter; drop; }; }",
    )
    firewall.open()
    assert machine.run("nft list table inet hsup").count("masquerade") == 1
    assert " drop\n\t}" not in machine.run("nft list chain inet hsup forward")
    firewall.close()
    assert not has_table(machine)


def test_a_missing_nft_is_told_with_the_remedy(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup_driver_libcontainer.child.system_tools._SYSTEM_DIRECTORIES", ())
    network = machine.network(PATH=str(machine.run_directory))
    expected = "^nft is not installed; install it: apt-get install nftables, or your system's "
    with pytest.raises(DriverError, match=expected):
        network.check()
    assert not next(iter(network.examine())).is_good
    assert list(machine.run_directory.iterdir()) == []


def test_rules_that_the_kernel_refuses_are_told_and_not_left(machine: Machine) -> None:
    tool = machine.run_directory / "nft"
    tool.write_text("#!/bin/sh\ncat > /dev/null\necho 'Error: no such thing'\nexit 1\n")
    tool.chmod(0o755)
    network = machine.network(PATH=str(machine.run_directory))
    with pytest.raises(
        DriverError, match="cannot create the nftables table hsup: Error: no such thing"
    ):
        network.open()


def test_a_name_server_with_a_link_local_address_can_be_asked_for_names_only(
    machine: Machine,
) -> None:
    world = machine.world()
    dyno = machine.dyno(machine.hsup())
    machine.run("nft -f -", nft.ruleset([machine.metadata_ip]))
    for port in (53, 80):
        machine.listen(world, machine.metadata_ip, port)
    machine.connect(dyno.namespace, machine.metadata_ip, 53)
    with pytest.raises(OSError, match="No route to host"):
        machine.connect(dyno.namespace, machine.metadata_ip, 80)
