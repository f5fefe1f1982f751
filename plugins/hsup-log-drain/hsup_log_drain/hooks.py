"""Register the kinds of log drains."""

from __future__ import annotations

from collections.abc import Mapping

from hsup import hookimpl
from hsup.log_drain import LogDrainFactory


@hookimpl
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Return the kinds by the schemes of their URLs."""
    return {}
