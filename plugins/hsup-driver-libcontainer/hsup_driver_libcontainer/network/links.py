"""Make the requests of one dyno's interfaces from a template.

Importing pyroute2 takes 160 ms, and encoding the requests of a dyno 5 ms more: longer than
all the rest of a start. So they are encoded once, with placeholders for what differs from
dyno to dyno. The result is cached in the run directory until the settings, `link_messages`
or pyroute2 change.
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

#: The group of dynos' interfaces, "hs" in ASCII: the firewall recognizes them by it, and
#: the bits that are added to it say what they may do.
DYNO_GROUP = 0x68730000
PEERS_BIT = 0x1
METADATA_BIT = 0x2

#: The kernel itself counts from 1, and never reaches this.
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

    def __init__(self, settings: NetworkSettings, run_directory: str) -> None:
        self._settings = settings
        self._path = f"{run_directory}/links.json"
        self._template: LinkRequests | None = None

    def load(self) -> LinkRequests:
        """Return the template; make it if it is not cached."""
        if self._template is None:
            key = repr((self._settings, _has_ipv6(), *_signatures()))
            self._template = _read(self._path, key) or self._make(key)
        return self._template

    def requests(self, subnet: Subnet, name: str) -> LinkRequests:
        """Return the requests for a dyno. Raises OSError if the extra parent is missing."""
        return fill(self.load(), self._values(subnet, name))

    def sample(self, subnet: Subnet, name: str) -> LinkRequests:
        """Return the requests for a dyno without caching a template."""
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
        from hsup.durable import write_durably  # rarely needed

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
    """Return the requests with values in place of the placeholders."""
    pairs = list(zip(_packed(PLACEHOLDERS), _packed(values), strict=True))

    def encoded(requests: str) -> str:
        data = bytes.fromhex(requests)
        for placeholder, value in pairs:
            data = data.replace(placeholder, value)
        return data.hex()

    def named(steps: Sequence[str]) -> list[str]:
        return [step.format(**values._asdict()) for step in steps]

    _, host, host_steps, dyno, dyno_steps = template.plan
    plan = NetworkPlan(
        values.name, encoded(host), named(host_steps), encoded(dyno), named(dyno_steps)
    )
    return LinkRequests(plan, encoded(template.removal))


def _packed(values: LinkValues) -> Iterator[bytes]:
    """Yield the values as a request encodes them, each with a fixed length."""
    name = values.name.encode()
    assert len(name) <= _NAME_BYTES, name
    yield name.ljust(_NAME_BYTES, b"\0")
    yield struct.pack("=I", values.number)
    yield struct.pack("=I", values.parent)
    yield socket.inet_aton(values.gateway)
    yield socket.inet_aton(values.dyno)


def _read(path: str, key: str) -> LinkRequests | None:
    """Return the cached template; None if it is missing, damaged, or of another key."""
    try:
        with open(path, encoding="ascii") as file:
            kept_key, (plan, removal) = json.load(file)
    except (FileNotFoundError, ValueError):
        return None
    if kept_key != key:
        return None
    return LinkRequests(NetworkPlan(*plan), removal)


def _signatures() -> Iterator[str]:
    """Yield what identifies the version of the encoding code."""
    for module in ("pyroute2", "hsup_driver_libcontainer.network.link_messages"):
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        status = os.stat(spec.origin)
        yield f"{spec.origin} {status.st_size} {status.st_mtime_ns}"
