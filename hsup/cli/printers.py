"""Create the printers of `hsup start`, and route hsup's own log to them and to memory."""

from __future__ import annotations

import logging
import os
from copy import copy
from typing import TYPE_CHECKING

from hsup.cli.config import wants_colour
from hsup.cli.diagnostics import DiagnosticLog, PrintedLog, VisibleFormatter
from hsup.output.formats import formatter
from hsup.output.printer import ErrorPrinter, Printer, RawPrinter, ScreenPrinter
from hsup.output.screen import ScreenFormatter

if TYPE_CHECKING:
    from hsup.output.echo import Echo

_STDIN, _STDOUT, _STDERR = 0, 1, 2  # also if Python has no stream open there


def log_printer(log_format: str, *, has_reader: bool = False, **look: bool) -> Printer | RawPrinter:
    """Return the sink that prints the output of dynos and hsup's own lines.

    If it `has_reader`, a dyno reads hsup's own input.
    """
    if log_format == "raw":
        return RawPrinter(_STDOUT, _STDERR)
    if log_format == "screen":
        form = ScreenFormatter(
            coloured=wants_colour(_STDOUT), echoes=os.isatty(_STDOUT), columns=_columns, **look
        )
        return ScreenPrinter(_STDOUT, form, _echo(has_reader=has_reader))
    return Printer(_STDOUT, formatter(log_format, coloured=wants_colour(_STDOUT)))


def _echo(*, has_reader: bool) -> Echo | None:
    """Return what is known of keys that are typed where hsup prints, None if none are."""
    if not (os.isatty(_STDIN) and os.path.sameopenfile(_STDIN, _STDOUT)):
        return None
    from hsup.output.echo import Echo  # only on a terminal

    return Echo(_STDIN, has_reader=has_reader)


def _columns() -> int | None:
    """Return how wide the terminal is, None if there is none or it does not know."""
    try:
        return os.get_terminal_size(_STDOUT).columns or None
    except OSError:
        return None


def error_printer(printer: Printer | RawPrinter) -> ErrorPrinter:
    """Return the printer for standard error, which may be the same file as the log's."""
    if isinstance(printer, RawPrinter):
        return ErrorPrinter(printer.errors)
    if os.path.sameopenfile(_STDOUT, _STDERR):
        return ErrorPrinter(printer)
    return ErrorPrinter(Printer(_STDERR, formatter("raw", coloured=False), marks_gaps=False))


def log_to_memory(errors: ErrorPrinter, *, verbose: bool) -> DiagnosticLog:
    """Keep hsup's own log in memory for SIGUSR1; print warnings, or more if verbose."""
    kept = DiagnosticLog()
    printed = PrintedLog(errors.log, logging.INFO if verbose else logging.WARNING)
    printed.setFormatter(_WithoutTraceback("%(message)s"))
    logging.getLogger("hsup").setLevel(logging.DEBUG)
    root = logging.getLogger()  # plugins and libraries log warnings too
    root.addHandler(kept)
    root.addHandler(printed)
    return kept


class _WithoutTraceback(VisibleFormatter):
    """Leaves out tracebacks; the diagnostic log keeps them."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, which other handlers may have given a traceback's text."""
        plain = copy(record)
        plain.exc_info = plain.exc_text = plain.stack_info = None
        return super().format(plain)
