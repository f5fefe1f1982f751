"""The user's limits for slugs: how many are kept, how large one may be."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import NamedTuple

from hsup.errors import UsageError
from hsup.numerals import amount, whole_number

KEEP = "HSUP_SLUGS_KEEP"
MAX_SIZE = "HSUP_SLUGS_MAX_SIZE"
MAX_FILES = "HSUP_SLUGS_MAX_FILES"
MIN_RATE = "HSUP_SLUGS_MIN_RATE"

#: Ten deploys back, as far as a rollback usually goes.
DEFAULT_KEEP = "10"
#: The platform's limit is 500 MB packed, and code packs to a third or less.
DEFAULT_MAX_SIZE = "4G"
#: The largest node_modules have 200,000; a file takes an inode and a block of the disk.
DEFAULT_MAX_FILES = "500000"
#: Bytes a second; a slug of 100 MB would take 28 hours.
DEFAULT_MIN_RATE = 1000
#: The period over which the rate is measured: the default of curl's --speed-time.
MIN_RATE_SECONDS = 30.0

#: How long a download that broke off can be resumed.
RESUME_SECONDS = 24 * 60 * 60

_UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DAY_SECONDS = 24 * 60 * 60


class Keep(NamedTuple):
    """The rule by which slugs that no hsup uses are collected.

    A slug is collected when it exceeds any of the given limits, the least recently
    used one first.
    """

    slugs: int | None = None
    age_seconds: float | None = None
    total_bytes: int | None = None


class Limits(NamedTuple):
    """The limits of one slug: bytes of the unpacked archive; files, directories and links.

    `rate` is the number of bytes per second that a server has to send at least.
    """

    size: int
    files: int
    rate: int = DEFAULT_MIN_RATE


def read_keep(environ: Mapping[str, str]) -> Keep:
    """Return the rule of HSUP_SLUGS_KEEP. Raises UsageError.

    It is `all`, or any of a number of slugs, an age and a size: `5`, `30d`,
    `20G`, `5 30d 20G`.
    """
    text = environ.get(KEEP) or DEFAULT_KEEP
    if text.strip() == "all":
        return Keep()
    keep = Keep()
    for word in text.split():
        number, unit = amount(word)
        if number is None or unit not in {"", "d", *_UNITS}:
            hint = "write a number of slugs, an age and a size, such as 5 30d 20G, or all"
            raise UsageError(f'{KEEP}: "{word}" is not a count, an age or a size', hint=hint)
        if unit == "d":
            keep = keep._replace(age_seconds=number * _DAY_SECONDS)
        elif unit:
            keep = keep._replace(total_bytes=number * _UNITS[unit])
        else:
            keep = keep._replace(slugs=number)
    return keep


def read_limits(environ: Mapping[str, str]) -> Limits:
    """Return the limits of one slug. Raises UsageError."""
    return Limits(
        size=_positive(environ, MAX_SIZE, DEFAULT_MAX_SIZE, _UNITS, "a size, such as 800M or 4G"),
        files=_positive(environ, MAX_FILES, DEFAULT_MAX_FILES, {"": 1}, "a number of files"),
        rate=_min_rate(environ.get(MIN_RATE) or str(DEFAULT_MIN_RATE)),
    )


def _min_rate(text: str) -> int:
    rate = whole_number(text)
    if rate is None:
        hint = "write a number of bytes per second, such as 1000, or 0 for no minimum"
        raise UsageError(f'{MIN_RATE}: "{text}" is not a whole number', hint=hint)
    return rate


def _positive(
    environ: Mapping[str, str], name: str, default: str, units: Mapping[str, int], expected: str
) -> int:
    text = environ.get(name) or default
    number, unit = amount(text)
    if not number or unit not in units:
        raise UsageError(f'{name}: "{text}" is not a valid limit', hint=f"write {expected}")
    return number * units[unit]


def is_young(download: str) -> bool:
    """Tell whether a download broke off so recently that it can be resumed."""
    try:
        written = os.stat(download).st_mtime
    except OSError:
        return False
    return time.time() - written < RESUME_SECONDS
