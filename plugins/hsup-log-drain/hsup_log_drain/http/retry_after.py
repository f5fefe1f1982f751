"""Read when a receiver wants to be asked again (RFC 9110, 10.2.3)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

#: Nobody is waited for longer: lines would be lost meanwhile.
_LONGEST_SECONDS = 900.0
_DIGITS = 9


def retry_seconds(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Return the seconds that Retry-After asks for, None without a valid one."""
    texts = [value.decode("latin-1").strip() for name, value in headers if name == b"retry-after"]
    if len(texts) != 1:
        return None
    seconds = _seconds(texts[0])
    return None if seconds is None else min(max(seconds, 0.0), _LONGEST_SECONDS)


def _seconds(text: str) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= _DIGITS else _LONGEST_SECONDS
    try:
        return parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return None
