"""Register the kinds of log drains."""

from __future__ import annotations

from collections.abc import Mapping

from hsup import hookimpl
from hsup.log_drain import Destination, LogDrain, LogDrainFactory


@hookimpl
def hsup_register_log_drains() -> Mapping[str, LogDrainFactory]:
    """Return the kinds by the schemes of their URLs."""
    return {
        "file": _file,
        "journal": _journal,
    }


def _file(destination: Destination) -> LogDrain:
    from hsup_log_drain.file.drain import file_drain  # slow to import, rarely needed

    return file_drain(destination)


def _journal(destination: Destination) -> LogDrain:
    from hsup_log_drain.journal.drain import journal_drain  # slow to import, rarely needed

    return journal_drain(destination)
