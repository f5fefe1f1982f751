"""The journal shows the severity that all destinations have."""

from __future__ import annotations

import pytest

from hsup.api import LogEvent
from hsup.testing import make_batch
from hsup_log_drain.journal.entries import entries
from hsup_log_drain.severity import Severity, severity

_PRIORITIES = {Severity.INFO: b"6", Severity.WARNING: b"4", Severity.ERROR: b"3"}


@pytest.mark.parametrize(
    "event",
    [
        None,
        *map(LogEvent, ("notice", "warning", "error", "release_rejected", "source_failed")),
        *(LogEvent("state_changed", state=state) for state in ("up", "crashed")),
        *(LogEvent("error", code=code) for code in ("R15", "L10", "L13")),
    ],
)
def test_the_journal_has_the_severity_that_all_have(event: LogEvent | None) -> None:
    (entry,) = entries(make_batch(b"a\n", event=event))
    assert b"PRIORITY=" + _PRIORITIES[severity(event)] in entry.splitlines()
