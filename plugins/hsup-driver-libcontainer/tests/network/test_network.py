"""Dynos reach the Internet, but neither one another nor the metadata services of clouds."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AbstractContextManager

import pytest

from hsup.errors import DriverError

from .machine import Machine

REFUSED = {errno.EHOSTUNREACH, errno.EACCES}
#: To be read, something else sent after it has to have come.
SPOOFED, HONEST = b"spoofed", b"honest"


def is_refused(machine: Machine, namespace: int, address: str) -> bool:
    with pytest.raises(OSError) as caught:
        machine.connect(namespace, address)
    return caught.value.errno in REFUSED


def udp_server(
    machine: Machine, namespace: int, family: socket.AddressFamily = socket.AF_INET
) -> socket.socket:
    with machine.inside(namespace):
        server = socket.socket(family, socket.SOCK_DGRAM)
    server.bind(("", 99))
    server.settimeout(5)
    return server


def send(within: AbstractContextManager[None], text: bytes, *, to: str, source: str) -> None:
    family = socket.AF_INET6 if ":" in to else socket.AF_INET
    with within, socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.sendto(text, (to, 99))


def test_a_dyno_has_its_addresses_and_a_default_route(machine: Machine) -> None:
    dyno = machine.dyno(machine.hsup())

    with machine.inside(dyno.namespace):
        addresses = machine.run("ip -o address")
        routes = machine.run("ip route")

    assert dyno.problem == "\n"
    assert dyno.subnet.dyno == "172.16.0.30"
    assert "lo    inet 127.0.0.1/8" in addresses
    assert "lo    inet6 ::1/128" in addresses
    assert "eth0    inet 172.16.0.30/30" in addresses
    assert "eth0    inet6" not in addresses
    assert "default via 172.16.0.29 dev eth0" in routes


def test_the_host_reaches_a_dyno_at_its_address(machine: Machine) -> None:
    dyno = machine.dyno(machine.hsup())
    server = machine.listen(dyno.namespace, dyno.subnet.dyno)
    machine.connect(machine.host, dyno.subnet.dyno)
    connection, peer = server.accept()
    connection.close()
    assert peer[0] == dyno.subnet.gateway


def test_the_world_sees_the_address_of_the_host(machine: Machine) -> None:
    world = machine.world()
    dyno = machine.dyno(machine.hsup())
    server = machine.listen(world, machine.world_ip)

    machine.connect(dyno.namespace, machine.world_ip)

    connection, peer = server.accept()
    connection.close()
    assert peer[0] == machine.host_ip


def test_dynos_do_not_reach_one_another(machine: Machine) -> None:
    network = machine.hsup()
    one, other = machine.dyno(network), machine.dyno(network)
    machine.listen(other.namespace, other.subnet.dyno)
    assert is_refused(machine, one.namespace, other.subnet.dyno)


def test_dynos_do_not_reach_one_another_through_a_port_of_the_host(machine: Machine) -> None:
    machine.world()
    network = machine.hsup()
    one, other = machine.dyno(network), machine.dyno(network)
    machine.listen(other.namespace, other.subnet.dyno)
    machine.run("nft add table ip published")
    chain = "{ type nat hook prerouting priority dstnat ; }"
    machine.run(f"nft add chain ip published in {chain}")
    rule = f"ip daddr {machine.host_ip} tcp dport 80 dnat to {other.subnet.dyno}"
    machine.run(f"nft add rule ip published in {rule}")
    assert is_refused(machine, one.namespace, machine.host_ip)


def test_the_world_reaches_a_dyno_that_was_published_and_no_other(machine: Machine) -> None:
    world = machine.world()
    network = machine.hsup()
    published, other = machine.dyno(network), machine.dyno(network)
    for dyno in (published, other):
        machine.listen(dyno.namespace, dyno.subnet.dyno)
    machine.run("nft add table ip published")
    chain = "{ type nat hook prerouting priority dstnat ; }"
    machine.run(f"nft add chain ip published in {chain}")
    rule = f"ip daddr {machine.host_ip} tcp dport 80 dnat to {published.subnet.dyno}"
    machine.run(f"nft add rule ip published in {rule}")
    with machine.inside(world):
        machine.run(f"ip route add default via {machine.host_ip}")

    machine.connect(world, machine.host_ip)
    assert is_refused(machine, world, other.subnet.dyno)


@pytest.fixture(params=["docker0", "mine0"])
def bridged(machine: Machine, request: pytest.FixtureRequest) -> int:
    """Make a container as an engine does: on a bridge, which may have any name."""
    container = machine.world()
    for line in (
        f"ip link add {request.param} type bridge",
        f"ip link set {request.param} up",
        "ip address flush dev up0",
        f"ip link set up0 master {request.param}",
        f"ip address add {machine.host_ip}/24 dev {request.param}",
    ):
        machine.run(line)
    machine.listen(container, machine.world_ip)
    return container


@pytest.mark.usefixtures("bridged")
def test_dynos_do_not_reach_containers_whatever_their_bridge_is_called(machine: Machine) -> None:
    dyno = machine.dyno(machine.hsup())
    machine.connect(machine.host, machine.world_ip)
    assert is_refused(machine, dyno.namespace, machine.world_ip)


@pytest.mark.usefixtures("bridged")
def test_dynos_reach_what_a_container_publishes(machine: Machine) -> None:
    machine.run("nft add table ip published")
    chain = "{ type nat hook prerouting priority dstnat ; }"
    machine.run(f"nft add chain ip published in {chain}")
    rule = f"ip daddr {machine.host_ip} tcp dport 8080 dnat to {machine.world_ip}:80"
    machine.run(f"nft add rule ip published in {rule}")
    dyno = machine.dyno(machine.hsup())
    machine.connect(dyno.namespace, machine.host_ip, 8080)


@pytest.mark.usefixtures("bridged")
def test_dynos_reach_the_world_by_a_bridge_that_has_the_default_route(machine: Machine) -> None:
    machine.run(f"ip route add default via {machine.world_ip}")
    dyno = machine.dyno(machine.hsup())
    machine.connect(dyno.namespace, machine.world_ip)


def test_dynos_of_hsups_that_allow_it_reach_one_another(machine: Machine) -> None:
    one, other = (machine.hsup(LIBCONTAINER_DYNO_ALLOW_PEERS="1") for _ in "12")
    strict = machine.dyno(machine.hsup())
    a, b = machine.dyno(one), machine.dyno(other)
    for dyno in (a, b, strict):
        machine.listen(dyno.namespace, dyno.subnet.dyno)

    machine.connect(a.namespace, b.subnet.dyno)
    assert is_refused(machine, a.namespace, strict.subnet.dyno)
    assert is_refused(machine, strict.namespace, a.subnet.dyno)


def test_the_metadata_of_a_cloud_is_out_of_reach_unless_allowed(machine: Machine) -> None:
    world = machine.world()
    strict = machine.dyno(machine.hsup())
    allowed = machine.dyno(machine.hsup(LIBCONTAINER_DYNO_ALLOW_METADATA="1"))
    machine.listen(world, machine.metadata_ip)

    assert is_refused(machine, strict.namespace, machine.metadata_ip)
    machine.connect(allowed.namespace, machine.metadata_ip)


def test_a_dyno_cannot_send_with_an_address_of_another(machine: Machine) -> None:
    world = machine.world()
    network = machine.hsup()
    dyno, other = machine.dyno(network), machine.dyno(network)
    with machine.inside(dyno.namespace):
        machine.run(f"ip address add {other.subnet.dyno}/32 dev eth0")
    with udp_server(machine, world) as server:
        within = machine.inside(dyno.namespace)
        send(within, SPOOFED, to=machine.world_ip, source=other.subnet.dyno)
        within = machine.inside(dyno.namespace)
        send(within, HONEST, to=machine.world_ip, source=dyno.subnet.dyno)
        assert server.recv(100) == HONEST


def test_a_dyno_cannot_use_ipv6_even_with_an_address(machine: Machine) -> None:
    dyno = machine.dyno(machine.hsup())
    machine.run(f"ip address add fd00::1/64 dev {dyno.name} nodad")
    with machine.inside(dyno.namespace):
        machine.run("ip address add fd00::2/64 dev eth0 nodad")
    with udp_server(machine, machine.host, socket.AF_INET6) as server:
        within = machine.inside(dyno.namespace)
        send(within, SPOOFED, to="fd00::1", source="fd00::2")
        within = machine.inside(dyno.namespace)
        send(within, HONEST, to=dyno.subnet.gateway, source=dyno.subnet.dyno)
        assert server.recv(100) == HONEST


def test_a_subnet_can_be_used_again_at_once_when_its_link_is_gone(machine: Machine) -> None:
    network = machine.hsup(LIBCONTAINER_DYNO_SUBNET="192.168.200.0/30")
    for _ in range(3):
        dyno = machine.dyno(network)
        assert dyno.problem == "\n"
        assert dyno.subnet.dyno == "192.168.200.2"
        dyno.end()
        network.wait_until_gone(dyno.subnet)
        assert dyno.name not in machine.run("ip -brief link")
        network.give_back(dyno.subnet)


def test_many_links_are_waited_for_at_the_same_time(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsup_driver_libcontainer.network.link_watch._PATIENCE_SECONDS", 60)
    network = machine.hsup()
    dynos = [machine.dyno(network) for _ in range(20)]
    for dyno in dynos:
        dyno.end()

    async def wait() -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(network.gone(dyno.subnet) for dyno in dynos))

    asyncio.run(wait())
    assert "hs0" not in machine.run("ip -brief link")


@pytest.mark.parametrize("blocks", [True, False])
def test_a_link_that_something_keeps_alive_is_removed(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, blocks: bool
) -> None:
    monkeypatch.setattr("hsup_driver_libcontainer.network.link_watch._PATIENCE_SECONDS", 0.05)
    network = machine.hsup()
    dyno = machine.dyno(network)
    dyno.end(keeps_namespace=True)
    if blocks:
        network.wait_until_gone(dyno.subnet)
    else:
        asyncio.run(network.gone(dyno.subnet))
    assert dyno.name not in machine.run("ip -brief link")


def test_a_refused_step_is_named(machine: Machine) -> None:
    network = machine.hsup()
    dyno = machine.dyno(network)
    network.give_back(dyno.subnet)
    again = type(dyno)(network.plan(dyno.subnet, dyno.name), dyno.subnet, dyno.name)
    again.end()
    assert again.problem == f"[Errno 17] File exists: 'cannot make the interface {dyno.name}'\n"


def test_a_busy_block_is_told_before_anything_is_made(machine: Machine) -> None:
    machine.run("ip link add up0 type veth")
    machine.run("ip address add 10.1.0.1/16 dev up0")
    machine.run("ip link set up0 up")
    network = machine.network(LIBCONTAINER_DYNO_SUBNET="10.1.2.0/24")
    expected = (
        "no subnet is free in 10.1.2.0/24: up0 uses 10.1.0.0/16; "
        "set LIBCONTAINER_DYNO_SUBNET to a larger block"
    )
    with pytest.raises(DriverError, match=expected):
        network.check()
    assert list(machine.run_directory.iterdir()) == []


def test_a_subnet_that_overlaps_a_route_is_never_taken(machine: Machine) -> None:
    machine.run("ip link add up0 type veth")
    machine.run("ip address add 172.16.0.1/26 dev up0")
    machine.run("ip link set up0 up")
    assert str(machine.hsup().take_subnet()) == "172.16.0.64/30"


def test_a_missing_interface_is_told_before_anything_is_made(machine: Machine) -> None:
    network = machine.network(LIBCONTAINER_DYNO_EXTRA_INTERFACE="eth7:10.0.0.10/24")
    expected = 'names "eth7", but this host has no such interface; run ip -brief link'
    with pytest.raises(DriverError, match=expected):
        network.check()


def test_the_extra_interface_is_eth1_with_its_routes(machine: Machine) -> None:
    made = machine.run_or_none("ip link add up1 type dummy")
    probe = machine.run_or_none("ip link add link up1 name probe type ipvlan mode l3")
    if made is None or probe is None:
        pytest.skip("this kernel has no dummy and ipvlan interfaces")
    machine.run("ip link delete probe")
    machine.run("ip link set up1 up")
    dyno = machine.dyno(
        machine.hsup(
            LIBCONTAINER_DYNO_EXTRA_INTERFACE="up1:192.168.201.5/24",
            LIBCONTAINER_DYNO_EXTRA_ROUTES="1.2.3.0/24:192.168.201.1:eth1,7.7.7.0/24:default:eth0",
        )
    )
    with machine.inside(dyno.namespace):
        address, routes = machine.run("ip -o address show eth1"), machine.run("ip route")
        link = machine.run("ip -d link show eth1")
    assert dyno.problem == "\n"
    assert "inet 192.168.201.5/24" in address
    assert "ipvlan" in link
    assert "mode l3" in link
    assert "1.2.3.0/24 via 192.168.201.1 dev eth1" in routes
    assert "7.7.7.0/24 via 172.16.0.29 dev eth0" in routes


def test_the_first_connection_of_a_dyno_is_not_slow(machine: Machine) -> None:
    world = machine.world()
    network = machine.hsup()
    machine.listen(world, machine.world_ip)
    for _ in range(40):
        dyno = machine.dyno(network)
        # The first try is repeated after one second.
        machine.connect(dyno.namespace, machine.world_ip, timeout=0.9)


def test_a_host_without_any_route_has_all_subnets_free(machine: Machine) -> None:
    assert "262137 are free" in machine.network().examine()[1].text
