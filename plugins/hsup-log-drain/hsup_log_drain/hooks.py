"""Register the kinds of log drains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hsup import hookimpl

if TYPE_CHECKING:  # a run without drains imports nothing of them
    from hsup.log_drain import Destination, LogDrain, LogDrainFactory


@hookimpl
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Return the kinds by the schemes of their URLs; each is imported when it is used."""
    return {
        "file": _file,
        "http": _http,
        "https": _http,
        "journal": _journal,
        "logplex": _logplex,
        "otlp+http": _otlp,
        "otlp+https": _otlp,
        "syslog": _syslog,
        "syslog+tls": _syslog_over_tls,
        "syslog+udp": _syslog_over_udp,
    }


def _file(destination: Destination) -> LogDrain:
    from hsup_log_drain.file.drain import file_drain

    return file_drain(destination)


def _http(destination: Destination) -> LogDrain:
    from hsup_log_drain.http.drain import create

    return create(destination)


def _journal(destination: Destination) -> LogDrain:
    from hsup_log_drain.journal.drain import journal_drain

    return journal_drain(destination)


def _logplex(destination: Destination) -> LogDrain:
    from hsup_log_drain.logplex import create

    return create(destination)


def _otlp(destination: Destination) -> LogDrain:
    from hsup_log_drain.otlp.drain import create

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
