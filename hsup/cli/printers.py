"""What prints the log of `hsup start`, its warnings, and keeps hsup's own records."""

from __future__ import annotations

import logging
import os
from typing import Any

from hsup.cli.config import wants_colour
from hsup.cli.diagnostics import DiagnosticLog, PrintedLog, VisibleFormatter
from hsup.output.formats import formatter
from hsup.output.printer import ErrorPrinter, Printer, RawPrinter

_STDOUT, _STDERR = 1, 2  # also where Python has closed its own


def log_printer(log_format: str) -> Printer | RawPrinter:
    """Return the sink that prints what dynos write and hsup tells."""
    if log_format == "raw":
        return RawPrinter(_STDOUT, _STDERR)
    return Printer(_STDOUT, formatter(log_format, coloured=wants_colour(_STDOUT)))


def error_printer(printer: Printer | RawPrinter) -> ErrorPrinter:
    """Return what prints on standard error, which may be where the log goes."""
    if isinstance(printer, RawPrinter):
        return ErrorPrinter(printer.errors)
    if os.path.sameopenfile(_STDOUT, _STDERR):
        return ErrorPrinter(printer)
    return ErrorPrinter(Printer(_STDERR, formatter("raw", coloured=False), marks_gaps=False))


def log_to_memory(errors: ErrorPrinter, *, verbose: bool) -> DiagnosticLog:
    """Keep hsup's own log for SIGUSR1; print warnings, or more."""
    kept = DiagnosticLog()
    printed = PrintedLog(errors.print, logging.INFO if verbose else logging.WARNING)
    printed.setFormatter(_WithoutTraceback("hsup: %(message)s"))
    logging.getLogger("hsup").setLevel(logging.DEBUG)
    root = logging.getLogger()  # plugins and libraries warn too
    root.addHandler(kept)
    root.addHandler(printed)
    return kept


class _WithoutTraceback(VisibleFormatter):
    """Leaves tracebacks to the diagnostic log, which has all of them."""

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return nothing."""
        del ei
        return ""
