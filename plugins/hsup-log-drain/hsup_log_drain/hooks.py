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


def _otlp(destination: Destination) -> LogDrain:
    from hsup_log_drain.otlp.drain import create

    return create(destination)


@hookimpl
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Return the kinds by the schemes of their URLs."""
    return {
        "https": _http,
        "http": _http,
        "logplex": _logplex,
        "otlp+http": _otlp,
        "otlp+https": _otlp,
    }
