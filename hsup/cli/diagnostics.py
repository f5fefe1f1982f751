"""The bounded log in memory that SIGUSR1 prints."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from hsup.visible import visible

RECORDS = 1000
_RECORD_CHARACTERS = 500
#: Kept from the end of a traceback, which says most.
_TRACEBACK_CHARACTERS = 3000


class VisibleFormatter(logging.Formatter):
    """Formats a record as one line, and its traceback as indented lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line of a record."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the indented lines of a traceback."""
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {visible(line)}" for line in lines)


def print_visibly() -> None:
    """Print warnings and errors of a command that keeps no log, nothing below."""
    printed = logging.StreamHandler()
    printed.setFormatter(VisibleFormatter("hsup: %(message)s"))
    printed.setLevel(logging.WARNING)
    logging.lastResort = printed


class PrintedLog(logging.Handler):
    """Passes each record on as text, with its level."""

    def __init__(self, print_text: Callable[[str, int], None], level: int) -> None:
        super().__init__(level)
        self.setFormatter(VisibleFormatter("%(message)s"))
        self._print = print_text

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on; print a traceback for one that cannot be formatted."""
        try:
            self._print(self.format(record), record.levelno)
        except Exception:  # noqa: BLE001 - logging must not make its caller fail
            self.handleError(record)


class DiagnosticLog(logging.Handler):
    """Keeps the last records, each cut to a bounded length."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._records: deque[str] = deque(maxlen=RECORDS)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record, or a note about one that cannot be formatted."""
        try:
            text = _text(record)
        except Exception as error:  # noqa: BLE001 - logging must not make its caller fail
            text = f"cannot format a record of {record.name}: {type(error).__name__}"
        self._records.append(text)

    def text(self) -> str:
        """Return all kept records, oldest first, each on a line of its own."""
        title = f"--- the last {len(self._records)} records of hsup, UTC ---"
        return "".join(f"{line}\n" for line in (title, *self._records))


def _text(record: logging.LogRecord) -> str:
    moment = time.strftime("%H:%M:%S", time.gmtime(record.created))
    text = f"{moment}.{record.msecs:03.0f} {record.levelname} {record.getMessage()}"
    text = visible(text[:_RECORD_CHARACTERS])[:_RECORD_CHARACTERS]
    if record.exc_info and record.exc_info[0]:
        text += "\n" + _traceback(record)
    return text


def _traceback(record: logging.LogRecord) -> str:
    text = VisibleFormatter().formatException(record.exc_info)
    return text if len(text) <= _TRACEBACK_CHARACTERS else f"  ...{text[-_TRACEBACK_CHARACTERS:]}"
