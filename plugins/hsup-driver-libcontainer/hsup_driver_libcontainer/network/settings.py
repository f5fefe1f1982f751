"""The operator's settings for the network of dynos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hsup.errors import UsageError
from hsup_driver_libcontainer.network.subnets import (
    IPv4Net,
    parse_address,
    parse_network,
    read_block,
)

EXTRA_INTERFACE = "LIBCONTAINER_DYNO_EXTRA_INTERFACE"
EXTRA_ROUTES = "LIBCONTAINER_DYNO_EXTRA_ROUTES"
ALLOW_PEERS = "LIBCONTAINER_DYNO_ALLOW_PEERS"
ALLOW_METADATA = "LIBCONTAINER_DYNO_ALLOW_METADATA"

#: The names of a dyno's interfaces.
FIRST, EXTRA = "eth0", "eth1"
#: Stands for the gateway of a dyno's default route.
DEFAULT_GATEWAY = "default"

_LONGEST_INTERFACE_NAME = 15  # IFNAMSIZ in linux/if.h, without the NUL


class ExtraInterface(NamedTuple):
    """An interface of the host that a dyno shares, and the dyno's address there."""

    parent: str
    address: IPv4Net


class ExtraRoute(NamedTuple):
    """A route of a dyno; None as the gateway means that of its default route."""

    destination: IPv4Net
    gateway: int | None
    interface: str


class NetworkSettings(NamedTuple):
    """The network of the dynos of one hsup."""

    block: IPv4Net
    extra_interface: ExtraInterface | None = None
    extra_routes: tuple[ExtraRoute, ...] = ()
    allows_peers: bool = False
    allows_metadata: bool = False


def read_network_settings(environ: Mapping[str, str]) -> NetworkSettings:
    """Read the environment variables. Raises UsageError."""
    extra = _extra_interface(environ.get(EXTRA_INTERFACE, "").strip())
    routes = environ.get(EXTRA_ROUTES, "").strip()
    return NetworkSettings(
        block=read_block(environ),
        extra_interface=extra,
        extra_routes=tuple(_route(one, extra) for one in routes.split(",") if routes),
        allows_peers=_flag(environ, ALLOW_PEERS),
        allows_metadata=_flag(environ, ALLOW_METADATA),
    )


def _extra_interface(text: str) -> ExtraInterface | None:
    if not text:
        return None
    parent, _, address = text.partition(":")
    network = parse_network(address)
    if network is None or not 0 < len(parent) <= _LONGEST_INTERFACE_NAME:
        hint = "write, for example, eth1:10.0.0.10/24"
        text = f'{EXTRA_INTERFACE} must have the form INTERFACE:ADDRESS, got "{text}"'
        raise UsageError(text, hint=hint)
    return ExtraInterface(parent, network)


def _route(text: str, extra: ExtraInterface | None) -> ExtraRoute:
    destination, gateway, interface = (*text.strip().split(":"), "", "", "")[:3]
    network = parse_network(destination)
    address = parse_address(gateway)
    is_default = gateway == DEFAULT_GATEWAY
    if network is None or text.count(":") != 2 or not (address or is_default):  # noqa: PLR2004 - IPv4
        raise _refusal(f'must have the form NETWORK:GATEWAY:INTERFACE, got "{text}"')
    if interface not in {FIRST, EXTRA}:
        raise _refusal(f'has "{text}", but the interface must be {FIRST} or {EXTRA}')
    if interface == EXTRA and extra is None:
        problem = f'{EXTRA_ROUTES} has "{text}", but {EXTRA_INTERFACE} is not set'
        raise UsageError(problem, hint=f"set {EXTRA_INTERFACE} as well")
    if interface == FIRST and not is_default:
        raise _refusal(f'has "{text}", but the gateway of {FIRST} must be "{DEFAULT_GATEWAY}"')
    return ExtraRoute(network, address, interface)


def _refusal(problem: str) -> UsageError:
    hint = "write, for example, 10.0.0.0/8:10.1.1.1:eth1,192.168.0.0/24:default:eth0"
    return UsageError(f"{EXTRA_ROUTES} {problem}", hint=hint)


def _flag(environ: Mapping[str, str], name: str) -> bool:
    text = environ.get(name, "").strip()
    if text not in {"", "0", "1"}:
        raise UsageError(
            f'{name} must be 1 or 0, got "{text}"', hint="unset it to use the default, 0"
        )
    return text == "1"
