"""A number stands for a /30, and a block for many."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.errors import UsageError
from hsup_driver_libcontainer.network.subnets import (
    IPv4Net,
    Subnet,
    numbers_of,
    numbers_touched,
    parse_network,
    read_block,
)


def block(text: str) -> IPv4Net:
    return read_block({"LIBCONTAINER_DYNO_SUBNET": text})


def test_the_first_subnet_is_the_go_programs() -> None:
    numbers = numbers_of(read_block({}))
    first = Subnet(numbers[0])
    assert str(first) == "172.16.0.28/30"
    assert (first.gateway, first.dyno) == ("172.16.0.29", "172.16.0.30")
    assert str(Subnet(numbers[-1])) == "172.31.255.252/30"


@pytest.mark.parametrize(
    ("text", "subnets"),
    [
        ("192.168.200.0/30", ["192.168.200.0/30"]),
        ("192.168.200.7/29", ["192.168.200.4/30"]),
        ("10.0.0.0/28", ["10.0.0.0/30", "10.0.0.4/30", "10.0.0.8/30", "10.0.0.12/30"]),
    ],
)
def test_a_block_begins_at_the_address_that_is_written(text: str, subnets: list[str]) -> None:
    assert [str(Subnet(number)) for number in numbers_of(block(text))] == subnets


@pytest.mark.parametrize(
    "text", ["10.0.0.0", "10.0.0.0/31", "10.0.0.0/1", "10.0.0/8", "fd00::/64", "x/8", "10.0.0.0/-8"]
)
def test_what_is_no_block_is_refused(text: str) -> None:
    expected = f'LIBCONTAINER_DYNO_SUBNET must be an IPv4 network of /2 to /30, got "{text}"; unset'
    with pytest.raises(UsageError, match=expected):
        block(text)


networks = st.builds(IPv4Net, st.integers(0, 2**32 - 1), st.integers(0, 32))


@given(networks)
def test_a_network_is_written_as_it_is_read(network: IPv4Net) -> None:
    assert parse_network(str(network)) == network


@given(networks, st.integers(0, 2**30 - 1))
def test_a_subnet_is_touched_where_it_overlaps(network: IPv4Net, number: int) -> None:
    first, last = network.addresses[0], network.addresses[-1]
    overlaps = first <= number * 4 + 3 and number * 4 <= last
    assert (number in numbers_touched(network.addresses)) == overlaps


@given(networks)
def test_addresses_are_those_of_the_standard_library(network: IPv4Net) -> None:
    expected = ipaddress.ip_network((network.address, network.prefix_length), strict=False)
    assert network.addresses[0] == int(expected.network_address)
    assert network.addresses[-1] == int(expected.broadcast_address)
