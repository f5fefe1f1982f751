"""The uids that dynos have, one each."""

from __future__ import annotations

from collections.abc import Mapping

from hsup.errors import UsageError

#: The variables of the Go program, and its defaults.
UID_MIN = "LIBCONTAINER_DYNO_UID_MIN"
UID_MAX = "LIBCONTAINER_DYNO_UID_MAX"
DEFAULT_MIN, DEFAULT_MAX = 3000, 11000
#: Where they are leased: by all hsups, as whatever network they have, users are the host's.
UIDS = "/run/hsup/uids"
#: The last one that the kernel knows, see man 7 credentials: -1 is none.
_HIGHEST_UID = 2**32 - 2


def uid_range(environ: Mapping[str, str]) -> range:
    """Return the uids that dynos may have. Raises UsageError."""
    first = _uid(environ, UID_MIN, DEFAULT_MIN)
    last = _uid(environ, UID_MAX, DEFAULT_MAX)
    if last < first:
        text = f"{UID_MAX} must not be less than {UID_MIN}, got {last} and {first}"
        raise UsageError(text, hint=f"the defaults are {DEFAULT_MIN} and {DEFAULT_MAX}")
    return range(first, last + 1)


def _uid(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _HIGHEST_UID):
        hint = f"the default is {default}"
        raise UsageError(f'{name} must be a uid from 1 up, got "{text}"', hint=hint)
    return int(text)
