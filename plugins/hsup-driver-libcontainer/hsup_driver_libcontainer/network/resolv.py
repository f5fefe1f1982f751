"""The content of a dyno's /etc/resolv.conf and /etc/hosts."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hsup.api import Finding
from hsup_driver_libcontainer.network.subnets import parse_address

_HOST_FILE = "/etc/resolv.conf"
#: Where a stub resolver on a loopback address keeps its own name servers:
#: systemd-resolved, NetworkManager, dnsmasq with resolvconf.
_UPSTREAM_FILES = (
    "/run/systemd/resolve/resolv.conf",
    "/run/NetworkManager/no-stub-resolv.conf",
    "/run/dnsmasq/resolv.conf",
)
_LOOPBACK = 127
_LINK_LOCAL = 0xA9FE  # 169.254
_HOSTS = """\
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
"""


def resolv_conf(root: str = "") -> str:
    """Return the host's file with name servers that dynos can reach.

    If those of the host all have loopback addresses, the servers of its stub resolver are
    used. Dynos have no IPv6, so servers with such addresses are left out. `root` is the
    directory of the host's files.
    """
    lines = _read(root + _HOST_FILE)
    others = [line for line in lines if not _is_server(line)]
    servers = [f"nameserver {address}" for address in name_servers(root)]
    return "".join(f"{line}\n" for line in (*others, *servers))


def name_servers(root: str = "") -> Sequence[str]:
    """Return the addresses of the host's name servers that dynos can reach."""
    for path in (_HOST_FILE, *_UPSTREAM_FILES):
        servers = [line.split()[1] for line in _read(root + path) if _is_server(line)]
        if reachable := [server for server in servers if _is_reachable(server)]:
            return reachable
    return ()


def link_local_name_servers(root: str = "") -> Sequence[str]:
    """Return the name servers in 169.254.0.0/16, as on some clouds."""
    return [one for one in name_servers(root) if (parse_address(one) or 0) >> 16 == _LINK_LOCAL]


def hosts(ip: str, hostname: str) -> str:
    """Return the content of a dyno's /etc/hosts."""
    return f"{_HOSTS}{ip}\t{hostname}\n"


def examine(root: str = "") -> Finding:
    """Return whether dynos can resolve names."""
    subject = "name servers"
    if servers := name_servers(root):
        return Finding(subject, is_good=True, text=f"dynos ask {', '.join(servers)}")
    return Finding(
        subject,
        is_good=False,
        text=f"{_HOST_FILE} lists no name server that dynos can reach",
        remedy=f"bind a file that lists one: --bind FILE:{_HOST_FILE}:ro",
    )


def _read(path: str) -> list[str]:
    if not os.path.isfile(path):
        return []
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()


def _is_server(line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0] == "nameserver"


def _is_reachable(address: str) -> bool:
    number = parse_address(address)
    return number is not None and number >> 24 not in {0, _LOOPBACK}
