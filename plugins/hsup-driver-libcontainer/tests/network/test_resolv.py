"""Dynos use name servers that they can reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hsup_driver_libcontainer.network import resolv

HOST_FILE = "etc/resolv.conf"
STUB = "# a stub\nnameserver 127.0.0.53\noptions edns0\nsearch example.com\n"
RESOLVED = "run/systemd/resolve/resolv.conf"
NETWORK_MANAGER = "run/NetworkManager/no-stub-resolv.conf"


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, str], None]:
    def put(name: str, content: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    return put


def test_servers_of_the_host_are_those_of_dynos(
    tmp_path: Path, put: Callable[[str, str], None]
) -> None:
    put(HOST_FILE, "search example.com\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n")
    expected = "search example.com\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
    assert resolv.resolv_conf(str(tmp_path)) == expected
    assert resolv.examine(str(tmp_path)).is_good


@pytest.mark.parametrize("upstream", [RESOLVED, NETWORK_MANAGER])
def test_a_stub_is_replaced_by_the_servers_that_it_asks(
    tmp_path: Path, put: Callable[[str, str], None], upstream: str
) -> None:
    put(HOST_FILE, STUB)
    put(upstream, "nameserver 10.0.0.2\nsearch other.example.com\n")
    expected = "# a stub\noptions edns0\nsearch example.com\nnameserver 10.0.0.2\n"
    assert resolv.resolv_conf(str(tmp_path)) == expected


def test_servers_that_a_dyno_cannot_reach_are_left_out(
    tmp_path: Path, put: Callable[[str, str], None]
) -> None:
    put(HOST_FILE, "nameserver ::1\nnameserver fd00::1\nnameserver 127.0.0.1\nnameserver 10.0.0.2")
    assert resolv.resolv_conf(str(tmp_path)) == "nameserver 10.0.0.2\n"


@pytest.mark.parametrize("content", [STUB, "nameserver\nnameserver x\nnameserver 0.0.0.0\n", None])
def test_no_server_left_is_told_with_the_remedy(
    tmp_path: Path, put: Callable[[str, str], None], content: str | None
) -> None:
    if content is not None:
        put(HOST_FILE, content)
    finding = resolv.examine(str(tmp_path))
    assert not finding.is_good
    assert finding.remedy == "bind a file that lists one: --bind FILE:/etc/resolv.conf:ro"


def test_link_local_servers_are_told_apart(tmp_path: Path, put: Callable[[str, str], None]) -> None:
    put(HOST_FILE, "nameserver 169.254.169.253\nnameserver 10.0.0.2\n")
    assert resolv.link_local_name_servers(str(tmp_path)) == ["169.254.169.253"]


def test_a_dyno_knows_itself_and_localhost() -> None:
    assert resolv.hosts("172.16.0.30", "host-1") == (
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n172.16.0.30\thost-1\n"
    )
