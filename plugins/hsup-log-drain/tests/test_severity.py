"""All destinations that show how severe a line is say the same of it."""

from __future__ import annotations

import pytest

from hsup.api import LogEvent
from hsup.testing import make_batch
from hsup_log_drain.journal.entries import entries
from hsup_log_drain.otlp.severity import severity as in_otlp

_PRIORITIES = {"INFO": b"6", "WARN": b"4", "ERROR": b"3"}


@pytest.mark.parametrize(
    "event",
    [
        None,
        *map(LogEvent, ("notice", "warning", "error", "release_rejected", "source_failed")),
        *(LogEvent("state_changed", state=state) for state in ("up", "crashed")),
        *(LogEvent("error", code=code) for code in ("R15", "L10", "L13")),
    ],
)
def test_the_journal_and_opentelemetry_agree(event: LogEvent | None) -> None:
    (entry,) = entries(make_batch(b"a\n", event=event))
    assert b"PRIORITY=" + _PRIORITIES[in_otlp(event)] in entry.splitlines()
