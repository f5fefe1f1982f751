from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hsup.cli.printers import error_printer, log_printer, log_to_memory
from hsup.output.printer import RawPrinter
from hsup.testing import make_batch

LOGGER = logging.getLogger("hsup.test_printers")


@contextmanager
def one_file_for_both_streams() -> Iterator[None]:
    """Make standard error the same file as standard output, as `2>&1` does."""
    before = os.dup(2)
    os.dup2(1, 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


@pytest.mark.parametrize(
    ("log_format", "line"),
    [("heroku", "1970-01-01T00:00:00.000000+00:00 app[web.1]: a\n"), ("plain", "web.1 | a\n")],
)
async def test_all_that_dynos_write_is_printed_on_standard_output(
    capfd: pytest.CaptureFixture[str], log_format: str, line: str
) -> None:
    printer = log_printer(log_format)
    printer.write(make_batch(b"a\n"))
    printer.write(make_batch(b"a\n", stream="stderr"))
    await printer.close()
    assert capfd.readouterr() == (line * 2, "")


async def test_raw_output_is_printed_as_it_is_on_the_stream_that_it_was_written_to(
    capfd: pytest.CaptureFixture[str],
) -> None:
    printer = log_printer("raw")
    printer.write(make_batch(b"out"))
    printer.write(make_batch(b"err", stream="stderr"))
    await printer.close()
    assert capfd.readouterr() == ("out", "err")


@pytest.mark.parametrize("log_format", ["plain", "raw"])
async def test_errors_are_printed_on_standard_error(
    capfd: pytest.CaptureFixture[str], log_format: str
) -> None:
    printer = log_printer(log_format)
    errors = error_printer(printer)
    printer.write(make_batch(b"half", is_partial=True))
    errors.print("hsup: told\n")
    await printer.close()
    await errors.close(stuck_seconds=60.0)
    captured = capfd.readouterr()
    assert captured.out.endswith("half")
    assert captured.err == "hsup: told\n"


@pytest.mark.parametrize("log_format", ["plain", "raw"])
async def test_errors_begin_a_new_line_where_both_streams_are_one_file(
    capfd: pytest.CaptureFixture[str], log_format: str
) -> None:
    with one_file_for_both_streams():
        printer = log_printer(log_format)
        errors = error_printer(printer)
        printer.write(make_batch(b"half", is_partial=True))
        errors.print("hsup: told\n")
        await printer.close()
        await errors.close(stuck_seconds=60.0)
    captured = capfd.readouterr()
    assert captured.out.endswith("half\nhsup: told\n")
    assert captured.err == ""


async def test_errors_of_raw_output_keep_to_the_lines_of_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    printer = log_printer("raw")
    assert isinstance(printer, RawPrinter)
    errors = error_printer(printer)
    printer.write(make_batch(b"half", stream="stderr", is_partial=True))
    errors.print("hsup: told\n")
    await printer.close()
    assert capfd.readouterr() == ("", "half\nhsup: told\n")


@pytest.mark.parametrize(
    ("verbose", "printed"),
    [(False, ["hsup: careful"]), (True, ["hsup: did it", "hsup: careful"])],
)
async def test_the_log_is_kept_and_warnings_are_printed_or_more_if_that_is_asked_for(
    capfd: pytest.CaptureFixture[str], verbose: bool, printed: list[str]
) -> None:
    errors = error_printer(log_printer("plain"))
    kept = log_to_memory(errors, verbose=verbose)
    LOGGER.debug("details")
    LOGGER.info("did it")
    LOGGER.warning("careful")
    await errors.close(stuck_seconds=60.0)
    records = kept.text().splitlines()[1:]
    assert [one.split(maxsplit=1)[1] for one in records] == [
        "DEBUG details",
        "INFO did it",
        "WARNING careful",
    ]
    assert capfd.readouterr().err.splitlines() == printed


async def test_what_libraries_warn_of_is_printed_too(capfd: pytest.CaptureFixture[str]) -> None:
    errors = error_printer(log_printer("plain"))
    log_to_memory(errors, verbose=False)
    logging.getLogger("test_printers").warning("an old server")
    await errors.close(stuck_seconds=60.0)
    assert capfd.readouterr().err == "hsup: an old server\n"


async def test_a_traceback_is_kept_and_not_printed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whatever formatted the record before: pytest's own handler is the first one here."""
    errors = error_printer(log_printer("plain"))
    kept = log_to_memory(errors, verbose=True)
    LOGGER.warning("it failed", exc_info=ValueError("a slip"))
    await errors.close(stuck_seconds=60.0)
    assert "ValueError: a slip" in kept.text()
    assert capfd.readouterr().err == "hsup: it failed\n"
