"""Create the drains that speak syslog from their URLs."""

from __future__ import annotations

from functools import partial

from hsup.errors import UsageError
from hsup.log_drain import Destination, DrainURL, LogDrain
from hsup.numerals import whole_number
from hsup_log_drain.addresses import ascii_host
from hsup_log_drain.syslog.header import header

#: RFC 6587 names no port, and this is what receivers listen at; RFC 5425, 4.1; RFC 5426, 3.3.
_TCP_PORT, _TLS_PORT, _UDP_PORT = 514, 6514, 514

#: What every receiver should take in a datagram, the header included (RFC 5426, 3.2).
_DEFAULT_SIZE = 2048
#: What every receiver must take over IPv4 (RFC 5426, 3.2), and what IPv4 can carry.
_LEAST_SIZE, _LARGEST_SIZE = 480, 65_507


def over_tcp(destination: Destination) -> LogDrain:
    """Return a drain for `syslog://host:514`. Raises UsageError."""
    from hsup_log_drain.syslog.connecting import connect
    from hsup_log_drain.syslog.tcp import SyslogDrain

    url = destination.url
    _require_host_only(url)
    url.require_nothing_else()
    return SyslogDrain(header(destination.token), partial(connect, url, _TCP_PORT))


def over_tls(destination: Destination) -> LogDrain:
    """Return a drain for `syslog+tls://host:6514?ca=…&cert=…&key=…`. Raises UsageError."""
    from hsup_log_drain.syslog.connecting import connect_with_tls
    from hsup_log_drain.syslog.tcp import SyslogDrain
    from hsup_log_drain.tls import PARAMETERS, take_tls

    _require_host_only(destination.url)
    tls, url = take_tls(destination.url)
    url.require_nothing_else(*PARAMETERS)
    return SyslogDrain(header(destination.token), partial(connect_with_tls, url, _TLS_PORT, tls))


def over_udp(destination: Destination) -> LogDrain:
    """Return a drain for `syslog+udp://host:514?size=2048`. Raises UsageError."""
    from hsup_log_drain.syslog.udp import SyslogDatagramDrain

    _require_host_only(destination.url)
    taken, url = destination.url.take("size")
    url.require_nothing_else("size")
    size = _size(taken["size"]) if "size" in taken else _DEFAULT_SIZE
    return SyslogDatagramDrain(url, _UDP_PORT, header(destination.token), size)


def _require_host_only(url: DrainURL) -> None:
    """Raise UsageError for what can be no host, and for what syslog has no use for."""
    if not url.host:
        raise UsageError(f'a drain of scheme "{url.scheme}" needs a host')
    ascii_host(url)
    if url.path not in ("", "/"):
        raise UsageError(f'a drain of scheme "{url.scheme}" has no path', hint="leave it out")
    if url.user is not None or url.password is not None:
        text = f'a drain of scheme "{url.scheme}" has no user and no password'
        raise UsageError(text, hint="leave them out: syslog has no log-in")


def _size(text: str) -> int:
    size = whole_number(text)
    if size is None or not _LEAST_SIZE <= size <= _LARGEST_SIZE:
        raise UsageError(
            f'parameter "size" must be a number of bytes from {_LEAST_SIZE} to {_LARGEST_SIZE}, '
            f'not "{text}"'
        )
    return size
