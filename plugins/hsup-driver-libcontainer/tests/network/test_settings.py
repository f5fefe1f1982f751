"""The network's environment variables have the formats of the Go program."""

from __future__ import annotations

import pytest

from hsup.errors import UsageError
from hsup_driver_libcontainer.network.settings import (
    ExtraInterface,
    ExtraRoute,
    NetworkSettings,
    read_network_settings,
)
from hsup_driver_libcontainer.network.subnets import IPv4Net, parse_address

INTERFACE, ROUTES = "LIBCONTAINER_DYNO_EXTRA_INTERFACE", "LIBCONTAINER_DYNO_EXTRA_ROUTES"


def read(interface: str = "", routes: str = "", **others: str) -> NetworkSettings:
    return read_network_settings({INTERFACE: interface, ROUTES: routes, **others})


def address(text: str) -> int:
    number = parse_address(text)
    assert number is not None
    return number


def test_by_default_there_is_nothing_extra_and_nothing_allowed() -> None:
    settings = read()
    assert settings[1:] == (None, (), False, False)


def test_an_extra_interface_is_the_hosts_name_and_the_dynos_address() -> None:
    expected = ExtraInterface("eth1", IPv4Net(address("10.0.0.10"), 24))
    assert read("eth1:10.0.0.10/24").extra_interface == expected


def test_extra_routes_have_a_gateway_or_the_default_one() -> None:
    routes = "10.0.0.0/8:10.1.1.1:eth1, 192.168.0.0/24:default:eth0"
    assert read("eth1:10.0.0.10/24", routes).extra_routes == (
        ExtraRoute(IPv4Net(address("10.0.0.0"), 8), address("10.1.1.1"), "eth1"),
        ExtraRoute(IPv4Net(address("192.168.0.0"), 24), None, "eth0"),
    )


@pytest.mark.parametrize("text", ["eth1", "eth1:", ":10.0.0.1/8", "a23456789012345b:10.0.0.1/8"])
def test_what_is_no_interface_with_an_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f'{INTERFACE} must have .* got "{text}"; write, for'):
        read(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.0/8", "must have the form NETWORK:GATEWAY:INTERFACE"),
        ("10.0.0.0/8:x:eth1", "must have the form NETWORK:GATEWAY:INTERFACE"),
        ("10.0.0.0/8:10.0.0.1:eth1:", "must have the form NETWORK:GATEWAY:INTERFACE"),
        ("10.0.0.0/8:default:eth0,", "must have the form NETWORK:GATEWAY:INTERFACE"),
        ("10.0.0.0/8:10.0.0.1:eth2", "has .* but the interface must be eth0 or eth1"),
        ("10.0.0.0/8:10.0.0.1:eth0", 'has .* but the gateway of eth0 must be "default"'),
    ],
)
def test_what_is_no_route_is_refused(text: str, expected: str) -> None:
    with pytest.raises(UsageError, match=f"{ROUTES} {expected}"):
        read("eth1:10.0.0.10/24", text)


def test_a_route_through_an_interface_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match=f"{ROUTES} has .* set {INTERFACE} as well"):
        read(routes="10.0.0.0/8:10.0.0.1:eth1")


@pytest.mark.parametrize(
    "name", ["LIBCONTAINER_DYNO_ALLOW_PEERS", "LIBCONTAINER_DYNO_ALLOW_METADATA"]
)
def test_what_is_neither_1_nor_0_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f'{name} must be 1 or 0, got "yes"'):
        read(**{name: "yes"})


def test_dynos_may_be_allowed_more() -> None:
    settings = read(LIBCONTAINER_DYNO_ALLOW_PEERS="1", LIBCONTAINER_DYNO_ALLOW_METADATA="0")
    assert (settings.allows_peers, settings.allows_metadata) == (True, False)
