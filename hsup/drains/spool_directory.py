"""The directory of a spool, which one hsup uses at a time."""

from __future__ import annotations

import errno
import os
import re
from contextlib import suppress
from hashlib import sha256

from hsup import locks
from hsup.directories import is_trusted, make_directories
from hsup.drains.spool import Spool
from hsup.drains.spool_leftovers import take_over
from hsup.drains.urls import SPOOL
from hsup.errors import UsageError

#: How many hsups may spool for one destination of one application at once.
_MOST_AT_ONCE = 100
#: What is kept of a host's name.
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")
_LONGEST_HOST = 64
_DIGEST_DIGITS = 16


class SpoolDirectory:
    """A spool in a directory of `base` that is locked until it is closed.

    `identity` tells destinations and applications apart, and may be secret: only a digest of it
    is in a name. Another hsup that uses the same is given the directory beside, `...-2`; the next
    one gives also what is left there. Raises UsageError.
    """

    def __init__(self, base: str, identity: str, *, host: str, most_bytes: int) -> None:
        self.base = base
        digest = sha256(identity.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
        name = f"{_UNSAFE.sub('_', host)[:_LONGEST_HOST]}-{digest}"
        try:
            self._prepare()
            first = os.path.join(base, name)
            self.path, self._descriptor = _locked(first)
            try:
                torn = take_over(first, self.path)
                self.spool = Spool(self.path, most_bytes, torn)
            except OSError:
                locks.unlock(self._descriptor)
                raise
        except OSError as error:
            text = f'parameter "{SPOOL}": cannot use the directory "{base}": {error.strerror}'
            hint = "name one that hsup can create, or that its user owns and can write to"
            raise UsageError(text, hint=hint) from error

    def close(self) -> None:
        """Close the spool; remove its directory if it is empty."""
        self.spool.close()
        with suppress(OSError):
            os.rmdir(self.path)
        locks.unlock(self._descriptor)

    def _prepare(self) -> None:
        """Create the directory of all spools. Raises UsageError, and OSError."""
        make_directories(self.base)
        if not is_trusted(self.base):
            text = f'parameter "{SPOOL}": others may write to the directory "{self.base}"'
            hint = "name one that only hsup's user may write to, or take it from others: chmod 700"
            raise UsageError(text, hint=hint)


def _locked(path: str) -> tuple[str, int]:
    """Lock a directory that no other hsup uses; return its path and the lock. Raises OSError."""
    for number in range(1, _MOST_AT_ONCE + 1):
        numbered = path if number == 1 else f"{path}-{number}"
        while True:
            make_directories(numbered)
            try:
                return numbered, locks.lock(numbered, locks.EXCLUSIVE_NOW)
            except FileNotFoundError:
                continue  # another hsup has removed it
            except BlockingIOError:
                break
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
