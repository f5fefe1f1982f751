"""Register the kinds of log drains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from hsup import hookimpl

if TYPE_CHECKING:  # a run without drains imports nothing of them
    from hsup.log_drain import LogDrainFactory


@hookimpl
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Return the kinds by the schemes of their URLs."""
    return {}
