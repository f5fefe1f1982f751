"""The number of bytes that a dyno may write to each of /app, /tmp, /var/tmp and /dev/shm."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hsup.errors import UsageError
from hsup.numerals import whole_number
from hsup.sizes import Size

VARIABLE = "LIBCONTAINER_DYNO_SCRATCH"

_SIZE = re.compile(r"([0-9]+)([KMG]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def read_size(environ: Mapping[str, str]) -> int | None:
    """Return the bytes that the user has set, None for the default. Raises UsageError."""
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return None
    match = _SIZE.fullmatch(text)
    number = whole_number(match[1]) if match else None
    if match is None or not number:
        text = f'{VARIABLE} must be a size such as 256M or 2G, got "{text}"'
        raise UsageError(text, hint="unset it to use the default, half of a dyno's memory")
    return number * _UNITS[match[2].upper()]


def default_size(size: Size) -> int:
    """Return half of the memory of a size: files there count as memory of the dyno."""
    return size.memory // 2
