"""Register the kinds of log drains."""

from __future__ import annotations

from collections.abc import Mapping

from hsup import hookimpl
from hsup.log_drain import Destination, LogDrain, LogDrainFactory


def _http(destination: Destination) -> LogDrain:
    from hsup_log_drain.http.drain import create

    return create(destination)


def _logplex(destination: Destination) -> LogDrain:
    from hsup_log_drain.logplex import create

    return create(destination)


def _syslog(destination: Destination) -> LogDrain:
    from hsup_log_drain.syslog.factories import over_tcp

    return over_tcp(destination)


def _syslog_over_tls(destination: Destination) -> LogDrain:
    from hsup_log_drain.syslog.factories import over_tls

    return over_tls(destination)


def _syslog_over_udp(destination: Destination) -> LogDrain:
    from hsup_log_drain.syslog.factories import over_udp

    return over_udp(destination)


@hookimpl
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Return the kinds by the schemes of their URLs."""
    return {
        "https": _http,
        "http": _http,
        "logplex": _logplex,
        "syslog": _syslog,
        "syslog+tls": _syslog_over_tls,
        "syslog+udp": _syslog_over_udp,
    }
