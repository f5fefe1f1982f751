"""Compress bodies for receivers whose URLs have `gzip=1`."""

from __future__ import annotations

import zlib

from hsup.errors import UsageError
from hsup.log_drain import DrainURL

_GZIP = "gzip"
#: A higher level takes several times as long, and saves a tenth.
_GZIP_LEVEL = 1
_GZIP_FORMAT = 16 + zlib.MAX_WBITS  # zlib.compress: with a header and a checksum of gzip


def take_gzip(url: DrainURL) -> tuple[DrainURL, bool]:
    """Return a URL without the parameter, and whether bodies are compressed. Raises UsageError."""
    taken, rest = url.take(_GZIP)
    value = taken.get(_GZIP, "0")
    if value not in ("0", "1"):
        raise UsageError(f'parameter "{_GZIP}" must be 0 or 1')
    return rest, value == "1"


def compressed(data: bytes) -> bytes:
    """Return a body for `Content-Encoding: gzip`."""
    return zlib.compress(data, _GZIP_LEVEL, _GZIP_FORMAT)
