"""The network of a dyno: an address of its own, a way out, and no way to its neighbours."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest

from ftest.program import Hsup, Running, eventually, free_port

SERVE = (
    "import socket; s = socket.create_server(('', {port}));"
    " print('listening', flush=True);"
    " [s.accept()[0].sendall(b'hello') for _ in iter(int, 1)]"
)
#: Prints what a server says, or why it says nothing.
ASK = (
    "import socket, sys; s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 1);"
    " print(s.recv(9).decode())"
)


def serving(hsup: Hsup, **environ: str) -> tuple[Running, str]:
    """Start a web dyno that says hello on port 5000; return it, and its address."""
    hsup.procfile(web=f'exec python3 -c "{SERVE.format(port=5000)}"')
    running = hsup.begin("start", env=environ)
    running.wait_for("listening$")
    return running, hsup.address("web.1")


def hears_hello(address: str, port: int = 5000) -> bool:
    with socket.create_connection((address, port), 2) as connection:
        return connection.recv(9) == b"hello"


def test_a_dyno_is_reached_at_its_own_address(hsup: Hsup) -> None:
    running, address = serving(hsup)
    assert hears_hello(address)
    assert ipaddress.ip_address(address) in ipaddress.ip_network("172.16.0.0/12")
    assert running.stop() == 0
    with pytest.raises(OSError):
        hears_hello(address)


def test_dynos_of_one_port_have_addresses_of_their_own(hsup: Hsup) -> None:
    running, first = serving(hsup)
    other = hsup.begin("start")
    other.wait_for("listening$")
    addresses = hsup.addresses("web.1")
    assert len(addresses) == 2
    assert first in addresses
    assert all(hears_hello(address) for address in addresses)
    assert (running.stop(), other.stop()) == (0, 0)


def test_the_subnet_can_be_chosen(hsup: Hsup) -> None:
    _, address = serving(hsup, LIBCONTAINER_DYNO_SUBNET="10.231.7.0/24")
    assert ipaddress.ip_address(address) in ipaddress.ip_network("10.231.7.0/24")


def test_a_dyno_has_loopback_and_one_interface(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    line = "ls /sys/class/net | sort | tr '\\n' ' '; ip -4 route show default | wc -l"
    names = hsup.call("run", line).text.split()
    assert names[-1] == "1"
    assert len(names) == 3
    assert "lo" in names


def test_a_dyno_reaches_the_host_and_what_is_beyond_through_it(hsup: Hsup) -> None:
    """A server on every address of the host is asked at one that is not the dyno's gateway."""
    address = address_of_host()
    hsup.procfile(one="true")
    with socket.create_server((address, free_port())) as server:
        threading.Thread(target=say_hello, args=(server,), daemon=True).start()
        ask = hsup.call("run", "--", "python3", "-c", ASK, *map(str, server.getsockname()))
    assert ask.text == "hello\n", ask


def say_hello(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"hello")


def address_of_host() -> str:
    """Return an address of the host that is not of its loopback, if it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("the host has no network")
        return probe.getsockname()[0]


def test_dynos_do_not_reach_one_another(hsup: Hsup) -> None:
    running, address = serving(hsup)
    assert hears_hello(address)
    ask = hsup.call("run", "--", "python3", "-c", ASK, address, "5000")
    assert ask.status == 1
    assert "hello" not in ask.text
    assert running.stop() == 0


def test_a_loopback_server_of_the_host_is_not_the_dynos(hsup: Hsup) -> None:
    hsup.procfile(one="true")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        ask = hsup.call("run", "--", "python3", "-c", ASK, "127.0.0.1", port)
    assert ask.status == 1
    assert "refused" in ask.message


def test_the_address_is_free_again_after_the_stop(hsup: Hsup) -> None:
    only = {"LIBCONTAINER_DYNO_SUBNET": "10.231.8.0/30"}
    for _ in range(2):
        running, address = serving(hsup, **only)
        assert address.startswith("10.231.8.")
        assert running.stop() == 0


def test_more_dynos_than_subnets_are_told(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.begin("start", "one=2", env={"LIBCONTAINER_DYNO_SUBNET": "10.231.9.0/30"})
    running.wait_for("born$")
    running.wait_for("10.231.9.0/30")
    running.wait_for("crashed")
    assert eventually(lambda: running.count("born$") == 1)
    assert "Traceback" not in running.said
