"""The SHA-256 of archives: given, known from before, or computed."""

from __future__ import annotations

import os
import time
from typing import NamedTuple

from hsup.archives.errors import SlugError
from hsup.cancellation import require_wanted

_PREFIX = "SHA256:"
_CHUNK = 1 << 20
_DIGITS = 64
_HEXADECIMAL = set("0123456789abcdef")
#: How long a file has to be unchanged before its times can tell the next change:
#: kernels count them in ticks of up to 10 ms (man 2 clock_getres, CLOCK_REALTIME_COARSE).
_SETTLED_SECONDS = 0.1


def expected_digest(checksum: str | None) -> str | None:
    """Return the hexadecimal digits of a checksum, in lower case. Raises SlugError."""
    if not checksum:
        return None
    digest = checksum[len(_PREFIX) :].lower()
    if not checksum.upper().startswith(_PREFIX) or not _is_digest(digest):
        text = f'the checksum of the slug is "{checksum}"'
        raise SlugError(text, hint=f"it has to be {_PREFIX} and {_DIGITS} hexadecimal digits")
    return digest


def digest_of(path: str | int) -> str:
    """Compute the digest of a file, or an open one's: half a second for 500 MB. Raises GivenUp.

    No more than its size is read: some files of /proc have no end.
    """
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb", buffering=0, closefd=isinstance(path, str)) as file:
        left = os.fstat(file.fileno()).st_size
        while left > 0 and (piece := file.read(min(left, _CHUNK))):
            require_wanted()
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest()


def file_key(found: os.stat_result) -> str:
    """Return a name for the content of a file, which another content does not get."""
    parts = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return "-".join(f"{part:x}" for part in parts)


def url_key(url: str) -> str:
    """Return a name for a URL that tells nothing of its secrets."""
    import hashlib

    return hashlib.sha256(url.encode()).hexdigest()


def share_key(uid: int, digest: str) -> str:
    """Return a name for an archive that a user has shown to have."""
    return f"{uid}-{digest}"


def is_settled(found: os.stat_result) -> bool:
    """Tell whether a file was last changed so long ago that its key is its own."""
    return time.time() - found.st_ctime > _SETTLED_SECONDS


class Known(NamedTuple):
    """The digest of an archive, and the ETag or date that its server gave with it."""

    digest: str
    validator: str = ""


class KnownDigests:
    """Remembers the digests of archives that were read before, by their keys."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def get(self, key: str) -> Known | None:
        """Return what is known; None also where a crash has left half of it, or anything else."""
        try:
            with open(os.path.join(self._folder, key), encoding="utf-8") as file:
                digest, _, rest = file.read().partition("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        is_whole = _is_digest(digest) and rest.endswith("\n") and rest[:-1].isprintable()
        return Known(digest, rest[:-1]) if is_whole else None

    def put(self, key: str, known: Known) -> None:
        """Remember a digest; not durably, as what is lost, or half of it, is computed again."""
        with open(os.path.join(self._folder, key), "w", encoding="utf-8") as file:
            file.write(f"{known.digest}\n{known.validator}\n")

    def forget_all_but(self, digests: set[str]) -> None:
        """Forget what leads to other digests than these."""
        for key in os.listdir(self._folder):
            known = self.get(key)
            if not known or known.digest not in digests:
                try:
                    os.unlink(os.path.join(self._folder, key))
                except FileNotFoundError:
                    pass  # another hsup was faster


def _is_digest(text: str) -> bool:
    return len(text) == _DIGITS and set(text) <= _HEXADECIMAL
