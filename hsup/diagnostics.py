"""The bounded log in memory that SIGUSR1 prints."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TextIO

RECORDS = 1000
_RECORD_CHARACTERS = 500


class DiagnosticLog(logging.Handler):
    """Keeps the last records, each cut to a bounded length."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._records: deque[str] = deque(maxlen=RECORDS)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        moment = time.strftime("%H:%M:%S", time.gmtime(record.created))
        text = f"{moment}.{record.msecs:03.0f} {record.levelname} {record.getMessage()}"
        self._records.append(text[:_RECORD_CHARACTERS])

    def dump(self, stream: TextIO) -> None:
        """Print all that is kept, oldest first."""
        stream.write(f"--- the last {len(self._records)} records of hsup, UTC ---\n")
        stream.writelines(f"{record}\n" for record in self._records)
        stream.flush()
