"""The interface of the host that dynos share as eth1, with the routes through it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftest.program import Hsup

PARENT, PROBE = "ftest0", "ftest1"

INTERFACE = "LIBCONTAINER_DYNO_EXTRA_INTERFACE"
ROUTES = "LIBCONTAINER_DYNO_EXTRA_ROUTES"

#: Listens at the extra address, and says hello once.
SERVE = (
    "import socket; s = socket.create_server(('192.0.2.10', 5001));"
    " print('listening', flush=True); s.accept()[0].sendall(b'hello')"
)
ASK = (
    "import socket; s = socket.create_connection(('192.0.2.10', 5001), 9);"
    " print(s.getsockname()[0], s.recv(9).decode())"
)


def ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this kernel has no such interface: ip {' '.join(words)}: {done.stderr}")


@pytest.fixture
def parent() -> Iterator[str]:
    """Make an interface that leads nowhere, on which another can be put."""
    ip("link", "add", PARENT, "type", "dummy")
    try:
        ip("link", "add", "link", PARENT, "name", PROBE, "type", "ipvlan", "mode", "l3")
        ip("link", "delete", PROBE)
        ip("link", "set", PARENT, "up")
        yield PARENT
    finally:
        ip("link", "delete", PARENT)


@pytest.fixture(autouse=True)
def app(parent: str, hsup: Hsup) -> None:
    hsup.procfile(one="true")
    hsup.environ[INTERFACE] = f"{parent}:192.0.2.10/24"


def test_it_is_an_ipvlan_with_the_address_beside_the_dynos_own(hsup: Hsup) -> None:
    line = "ip -brief -4 address show up; ip -details link show eth1"
    said = hsup.call("run", line).text
    assert "192.0.2.10/24" in said
    assert "172.16." in said
    assert "ipvlan  mode l3" in said


def test_the_routes_lead_where_they_were_told_to(hsup: Hsup) -> None:
    hsup.environ[ROUTES] = "198.51.100.0/24:192.0.2.1:eth1,203.0.113.0/24:default:eth0"
    routes = hsup.call("run", "ip route").text
    assert "198.51.100.0/24 via 192.0.2.1 dev eth1" in routes
    assert "default via 172.16." in routes
    own = next(line for line in routes.splitlines() if line.startswith("203.0.113.0/24"))
    assert own.startswith("203.0.113.0/24 via 172.16.")
    assert " dev eth0" in own


def test_dynos_meet_on_it(hsup: Hsup, parent: str, tmp_path: Path) -> None:
    hsup.procfile(web=f'exec python3 -c "{SERVE}"')
    running = hsup.start()
    running.wait_for("listening$")
    other = hsup.another(tmp_path)
    other.environ[INTERFACE] = f"{parent}:192.0.2.11/24"
    assert other.call("run", "--", "python3", "-c", ASK).text == "192.0.2.11 hello\n"
    assert running.stop() == 0, running.said


def test_an_address_that_another_dyno_has_is_told(hsup: Hsup) -> None:
    hsup.procfile(one=hsup.born)
    running = hsup.start()
    running.wait_for("born$")
    done = hsup.call("run", "true")
    assert done.status == 1
    assert "192.0.2.10" in done.message
    assert "Traceback" not in done.message
    assert running.stop() == 0, running.said


def test_an_interface_that_the_host_has_not_got_is_named(hsup: Hsup) -> None:
    done = hsup.call("run", "true", env={INTERFACE: "ftest9:192.0.2.10/24"})
    assert done.status == 1
    assert "ftest9" in done.message
    assert done.message.count("\n") == 1
