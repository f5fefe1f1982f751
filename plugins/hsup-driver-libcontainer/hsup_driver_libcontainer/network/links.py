"""Make the requests of one dyno's interfaces from a template.

Importing pyroute2 takes 160 ms, and encoding the requests of a dyno 5 more: more
than all the rest of a start. So it encodes them once, with placeholders for what
differs from dyno to dyno. The result is kept in the run folder until the settings,
`link_messages` or pyroute2 change.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import struct
from collections.abc import Iterator, Sequence

from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.network.link_values import LinkRequests, LinkValues
from hsup_driver_libcontainer.network.settings import NetworkSettings
from hsup_driver_libcontainer.network.subnets import Subnet

#: The group of dynos' interfaces, "hs" in ASCII; it tells the firewall what they
#: are, and the bits that are added to it what they may do.
DYNO_GROUP = 0x68730000
PEERS_BIT = 0x1
METADATA_BIT = 0x2

#: The kernel itself counts from 1, and never gets here.
_FIRST_INDEX = 1 << 30
_NAME_BYTES = 15  # IFNAMSIZ in linux/if.h, without the NUL


#: Nothing else in a request looks like one of these.
PLACEHOLDERS = LinkValues(
    name="hsup~~~~~~~~~~~",
    number=0x5AC3E17B,
    parent=0x5AC3E17C,
    gateway="240.91.183.29",
    dyno="240.91.183.30",
)


def number_of_link(subnet: Subnet) -> int:
    """Return the number of a dyno's interface on the host."""
    return _FIRST_INDEX + subnet.number


def group_of(settings: NetworkSettings) -> int:
    """Return the group of the interfaces of dynos with these settings."""
    peers = PEERS_BIT if settings.allows_peers else 0
    metadata = METADATA_BIT if settings.allows_metadata else 0
    return DYNO_GROUP | peers | metadata


class Links:
    """Makes the requests for the dynos of one hsup."""

    def __init__(self, settings: NetworkSettings, run_folder: str) -> None:
        self._settings = settings
        self._path = f"{run_folder}/links.json"
        self._template: LinkRequests | None = None

    def load(self) -> LinkRequests:
        """Return the template, which is made if it is not there already."""
        if self._template is None:
            key = repr((self._settings, _has_ipv6(), *_signatures()))
            self._template = _read(self._path, key) or self._make(key)
        return self._template

    def requests(self, subnet: Subnet, name: str) -> LinkRequests:
        """Return the requests for a dyno. Raises OSError where the extra parent is missing."""
        return fill(self.load(), self._values(subnet, name))

    def sample(self, subnet: Subnet, name: str) -> LinkRequests:
        """Return the same, and keep no template for others."""
        return fill(self._encode(), self._values(subnet, name))

    def removal(self, subnet: Subnet) -> str:
        """Return the request that removes a dyno's interface from the host."""
        values = PLACEHOLDERS._replace(number=number_of_link(subnet))
        return fill(self.load(), values).removal

    def _values(self, subnet: Subnet, name: str) -> LinkValues:
        extra = self._settings.extra_interface
        return LinkValues(
            name=name,
            number=number_of_link(subnet),
            parent=socket.if_nametoindex(extra.parent) if extra else 0,
            gateway=subnet.gateway,
            dyno=subnet.dyno,
        )

    def _make(self, key: str) -> LinkRequests:
        from hsup.durable import write_durably  # is needed rarely

        template = self._encode()
        write_durably(self._path, json.dumps([key, template]).encode("ascii"))
        return template

    def _encode(self) -> LinkRequests:
        from hsup_driver_libcontainer.network.link_messages import encode

        group = group_of(self._settings)
        return encode(self._settings, group, PLACEHOLDERS, has_ipv6=_has_ipv6())


def _has_ipv6() -> bool:
    return os.path.exists("/proc/net/if_inet6")


def fill(template: LinkRequests, values: LinkValues) -> LinkRequests:
    """Return the requests with values in the place of the placeholders."""
    pairs = list(zip(_packed(PLACEHOLDERS), _packed(values), strict=True))

    def encoded(requests: str) -> str:
        data = bytes.fromhex(requests)
        for placeholder, value in pairs:
            data = data.replace(placeholder, value)
        return data.hex()

    def told(steps: Sequence[str]) -> list[str]:
        return [one.format(**values._asdict()) for one in steps]

    _, host, host_steps, dyno, dyno_steps = template.plan
    plan = NetworkPlan(
        values.name, encoded(host), told(host_steps), encoded(dyno), told(dyno_steps)
    )
    return LinkRequests(plan, encoded(template.removal))


def _packed(values: LinkValues) -> Iterator[bytes]:
    """Yield the values as they are in a request; each always has the same length."""
    name = values.name.encode()
    assert len(name) <= _NAME_BYTES, name
    yield name.ljust(_NAME_BYTES, b"\0")
    yield struct.pack("=I", values.number)
    yield struct.pack("=I", values.parent)
    yield socket.inet_aton(values.gateway)
    yield socket.inet_aton(values.dyno)


def _read(path: str, key: str) -> LinkRequests | None:
    """Return what is kept; None if it is missing, of another key, or damaged."""
    try:
        with open(path, encoding="ascii") as file:
            kept_key, (plan, removal) = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    if kept_key != key:
        return None
    return LinkRequests(NetworkPlan(*plan), removal)


def _signatures() -> Iterator[str]:
    """Yield what tells one version of the code that encodes from another."""
    for module in ("pyroute2", "hsup_driver_libcontainer.network.link_messages"):
        found = importlib.util.find_spec(module)
        assert found is not None
        assert found.origin is not None
        state = os.stat(found.origin)
        yield f"{found.origin} {state.st_size} {state.st_mtime_ns}"
