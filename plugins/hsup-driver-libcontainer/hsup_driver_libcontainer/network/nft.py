"""The nftables table of hsup: which packets dynos may send, and where to.

There is one table, the same for all hsups of a machine. It names neither dynos nor their
addresses: it recognizes their interfaces by the group, whose lowest bits say what the dynos
of an hsup may do (`links`). So it is made once, and does not change when dynos start or end.
"""

from __future__ import annotations

from collections.abc import Sequence

from hsup_driver_libcontainer.network.links import DYNO_GROUP, METADATA_BIT, PEERS_BIT

TABLE = "hsup"
_REMOVAL = f"add table inet {TABLE}\ndelete table inet {TABLE}\n"

#: The metadata services of clouds, which hand out passwords too, are here.
LINK_LOCAL = "169.254.0.0/16"

_GROUP_MASK = 0xFFFFFFFF & ~(PEERS_BIT | METADATA_BIT)
_FROM_DYNO = f"iifgroup & {_GROUP_MASK:#x} == {DYNO_GROUP:#x}"
_TO_DYNO = f"oifgroup & {_GROUP_MASK:#x} == {DYNO_GROUP:#x}"
_REFUSE = "reject with icmpx type admin-prohibited"


def ruleset(
    name_servers: Sequence[str], uplinks: Sequence[str] = (), *, is_new: bool = False
) -> str:
    """Return the input of nft(8) that replaces the table in one step.

    A table that `is_new` must not exist yet: then there is nothing to remove, and
    nothing for the kernel to wait for. `name_servers` are those of the host that have
    link-local addresses, as on some clouds: dynos may send them DNS queries, and nothing
    else.

    A bridge leads to containers or virtual machines, whoever made it and whatever its
    name, unless it is one of `uplinks`. Dynos can reach their published ports.

    `fib` drops spoofed packets: their source address is not behind the interface that they
    came in through. An administrator may publish a dyno with DNAT.
    """
    names = "".join(
        f"        ip daddr {server} meta l4proto {{ tcp, udp }} th dport 53 return\n"
        for server in name_servers
    )
    outward = ", ".join(f'"{one}"' for one in uplinks)
    way_out = f"        oifname {{ {outward} }} accept\n" if outward else ""
    first = f"create table inet {TABLE}\n" if is_new else _REMOVAL
    return f"""{first}table inet {TABLE} {{
    chain prerouting {{
        type filter hook prerouting priority raw; policy accept;
        {_FROM_DYNO} jump from_dyno
    }}
    chain from_dyno {{
        meta nfproto ipv6 drop
        fib saddr . iif oif missing drop
{names}        iifgroup & {METADATA_BIT:#x} == 0 ip daddr {LINK_LOCAL} {_REFUSE}
    }}
    chain forward {{
        type filter hook forward priority filter; policy accept;
        {_FROM_DYNO} {_TO_DYNO} jump between_dynos
        {_TO_DYNO} jump to_dyno
        {_FROM_DYNO} meta oifkind "bridge" jump to_bridge
    }}
    chain between_dynos {{
        iifgroup & {PEERS_BIT:#x} != 0 oifgroup & {PEERS_BIT:#x} != 0 accept
        {_REFUSE}
    }}
    chain to_dyno {{
        ct state established,related accept
        ct status dnat accept
        {_REFUSE}
    }}
    chain to_bridge {{
        ct state established,related accept
        ct status dnat accept
{way_out}        {_REFUSE}
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        {_FROM_DYNO} oifgroup & {_GROUP_MASK:#x} != {DYNO_GROUP:#x} masquerade
    }}
}}
"""
