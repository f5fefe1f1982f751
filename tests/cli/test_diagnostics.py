from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hsup.cli.diagnostics import RECORDS, DiagnosticLog, PrintedLog


@pytest.fixture
def kept() -> Iterator[tuple[logging.Logger, DiagnosticLog]]:
    """Give a diagnostic log that keeps what a logger of the test's own says."""
    handler = DiagnosticLog()
    logger = logging.getLogger("test_diagnostics")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, handler
    logger.removeHandler(handler)


def dumped(handler: DiagnosticLog) -> list[str]:
    return handler.text().splitlines()


def test_it_prints_what_was_logged_oldest_first(kept: tuple[logging.Logger, DiagnosticLog]) -> None:
    logger, handler = kept
    logger.debug("first %d", 1)
    logger.warning("second")
    title, *records = dumped(handler)
    assert title == "--- the last 2 records of hsup, UTC ---"
    assert [record.split(maxsplit=1)[1] for record in records] == [
        "DEBUG first 1",
        "WARNING second",
    ]


def test_a_record_has_its_time_in_utc(kept: tuple[logging.Logger, DiagnosticLog]) -> None:
    logger, handler = kept
    record = logger.makeRecord("hsup", logging.INFO, "file", 1, "x", (), None)
    record.created, record.msecs = 1_767_366_245.123, 123.4
    handler.emit(record)
    assert dumped(handler)[1] == "15:04:05.123 INFO x"


def test_only_the_last_records_are_kept(kept: tuple[logging.Logger, DiagnosticLog]) -> None:
    logger, handler = kept
    for number in range(RECORDS + 5):
        logger.info("%d", number)
    records = dumped(handler)[1:]
    assert len(records) == RECORDS
    assert records[0].endswith(" INFO 5")


def test_a_long_record_is_cut(kept: tuple[logging.Logger, DiagnosticLog]) -> None:
    logger, handler = kept
    logger.info("x" * 10**6)
    assert len(dumped(handler)[1]) == 500


def test_dumping_keeps_the_records(kept: tuple[logging.Logger, DiagnosticLog]) -> None:
    logger, handler = kept
    logger.info("x")
    assert dumped(handler) == dumped(handler)


def test_an_empty_log_says_so(kept: tuple[logging.Logger, DiagnosticLog]) -> None:
    assert dumped(kept[1]) == ["--- the last 0 records of hsup, UTC ---"]


class Unprintable:
    def __str__(self) -> str:
        raise ValueError("not printable")


@pytest.mark.parametrize("words", [("%d", "x"), ("%s", Unprintable())], ids=["format", "argument"])
def test_who_logs_what_cannot_be_formatted_goes_on(
    kept: tuple[logging.Logger, DiagnosticLog],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str | Unprintable, ...],
) -> None:
    logger, handler = kept
    form, *given = words
    record = logger.makeRecord("shop", logging.WARNING, "file", 1, form, tuple(given), None)
    printed: list[str] = []
    for one in (handler, PrintedLog(lambda text, _: printed.append(text), logging.WARNING)):
        one.handle(record)
    assert printed == []
    assert "--- Logging error ---" in capsys.readouterr().err
    assert "cannot format a record of shop: " in dumped(handler)[1]
