"""Attempts on the host's network, on other containers', and on what they share."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from pathlib import Path

from attempt import ABSENT, Facts, Inapplicable, Refused, attempt, call
from files import SECRET

METADATA = "169.254.169.254"
SILENCE = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT}
NO_FAMILY = {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT}
RTM_NEWLINK, RTM_NEWROUTE, NLM_F_REQUEST, NLM_F_ACK = 16, 24, 1, 4
SECONDS = 2.0


def _connect(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), SECONDS):
            return "connected"
    except TimeoutError as error:
        raise Refused("nobody answers") from error


def _gateway() -> str:
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        _, destination, gateway, *_ = line.split()
        if destination == "00000000":
            return socket.inet_ntoa(struct.pack("=I", int(gateway, 16)))
    raise Inapplicable("there is no route to anywhere")


@attempt("reach a port of the host's loopback", SILENCE)
def reach_loopback(facts: Facts) -> object:
    return _connect("127.0.0.1", facts.host_port)


@attempt("reach a port of the host's loopback through the gateway", SILENCE)
def reach_through_gateway(facts: Facts) -> object:
    return _connect(_gateway(), facts.host_port)


@attempt("reach the metadata address", SILENCE)
def reach_metadata(_: Facts) -> object:
    return _connect(METADATA, 80)


@attempt("reach another container's port", SILENCE)
def reach_neighbour(facts: Facts) -> object:
    return _connect(facts.neighbour_ip, facts.neighbour_port)


@attempt("reach another container by UDP", SILENCE)
def reach_neighbour_by_datagram(facts: Facts) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.settimeout(SECONDS)
        sender.connect((facts.neighbour_ip, facts.neighbour_port))
        try:
            sender.send(b"?")
            return f"{len(sender.recv(64))} bytes"  # others look for them in this program's memory
        except TimeoutError as error:
            raise Refused("nobody answers") from error


@attempt("reach an abstract socket of the host", SILENCE)
def reach_abstract_socket(facts: Facts) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{facts.host_socket}")
        return "connected"


@attempt("see sockets of the host or of another container")
def see_sockets(facts: Facts) -> object:
    for kind in ("tcp", "udp", "unix"):
        text = Path(f"/proc/net/{kind}").read_text()
        ports = (f":{facts.host_port:04X} ", f":{facts.neighbour_port:04X} ")
        if facts.host_socket in text or any(f"{port}00000000:0000 0A" in text for port in ports):
            return kind
    raise Refused("own ones only")


@attempt("send raw packets", NO_FAMILY)
def send_raw(_: Facts) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return "a raw socket"


@attempt("send raw packets of version 6", NO_FAMILY)
def send_raw_6(_: Facts) -> object:
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6):
        return "a raw socket"


for _name, _family, _kind, _protocol in (
    ("listen to all packets", 17, socket.SOCK_RAW, 0x0300),
    ("listen to all packets without their heads", 17, socket.SOCK_DGRAM, 0x0300),
    ("talk to the hypervisor", 40, socket.SOCK_STREAM, 0),
    ("use the kernel's cryptography", 38, socket.SOCK_SEQPACKET, 0),
    ("change the firewall", 16, socket.SOCK_RAW, 12),
    ("change IPsec", 16, socket.SOCK_RAW, 6),
    ("listen to the audit log", 16, socket.SOCK_RAW, 9),
    ("listen to device events", 16, socket.SOCK_RAW, 15),
):

    @attempt(_name, NO_FAMILY)
    def open_socket(
        _: Facts, family: int = _family, kind: int = _kind, protocol: int = _protocol
    ) -> object:
        with socket.socket(family, kind, protocol):
            return "a socket"


for _of in ("AF_INET", "AF_NETLINK", "AF_PACKET", "AF_TIPC", "AF_VSOCK"):

    @attempt(f"make a pair of sockets of {_of}")
    def make_pair(_: Facts, family: int = getattr(socket, _of)) -> object:
        return call("socketpair", family, socket.SOCK_DGRAM, 0, ctypes.create_string_buffer(8))


@attempt("reach a container at a bridge with a name of its own", SILENCE)
def reach_bridged(facts: Facts) -> object:
    return _connect(facts.bridged_ip, facts.neighbour_port)


def _ask_kernel(kind: int, body: bytes) -> object:
    flags = NLM_F_REQUEST | NLM_F_ACK | 0x400  # NLM_F_CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = netlink.recv(4096)
    number = -struct.unpack_from("=i", answer, 16)[0]
    if number:
        raise OSError(number, os.strerror(number))
    return "done"


@attempt("take the network interface down")
def take_down(_: Facts) -> object:
    # An interface that does not exist: who is allowed is answered ENODEV.
    return _ask_kernel(RTM_NEWLINK, struct.pack("=BxHiII", 0, 0, 0x7FFFFFF, 0, 1))


@attempt("change the routes")
def change_routes(_: Facts) -> object:
    return _ask_kernel(RTM_NEWROUTE, struct.pack("=8BI", 2, 0, 0, 0, 254, 3, 0, 7, 0))


@attempt("attach shared memory of the host", ABSENT)
def attach_host_memory(facts: Facts) -> object:
    return f"segment {call('shmget', facts.host_shm_key, 0, 0)}"


@attempt("attach shared memory of another container", ABSENT)
def attach_neighbour_memory(facts: Facts) -> object:
    return f"segment {call('shmget', facts.host_shm_key + 1, 0, 0)}"


@attempt("find any shared memory, queue or semaphore of others")
def list_ipc(_: Facts) -> object:
    kinds = ("shm", "msg", "sem")
    found = {
        kind: len(Path(f"/proc/sysvipc/{kind}").read_text().splitlines()) - 1 for kind in kinds
    }
    if any(found.values()):
        return found
    raise Refused("there is none")


@attempt("open a message queue of the host", ABSENT)
def open_queue(facts: Facts) -> object:
    queue = ctypes.CDLL("librt.so.1", use_errno=True)
    if queue.mq_open(f"/{facts.host_socket}".encode(), os.O_RDONLY) < 0:
        raise OSError(ctypes.get_errno(), "mq_open")
    return "open"


@attempt("find a secret in the kernel's command line or mounts")
def find_in_mounts(_: Facts) -> object:
    for path in ("/proc/cmdline", "/proc/self/mountinfo", "/proc/self/cgroup"):
        if SECRET.search(Path(path).read_bytes()):
            return path
    raise Refused("not there")
