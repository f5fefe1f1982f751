"""The SHA-256 digests of archives: given, remembered, or computed."""

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
#: How long a file must be unchanged before its times are sure to show the next change:
#: kernels count them in ticks of up to 10 ms (man 2 clock_getres, CLOCK_REALTIME_COARSE).
_SETTLED_SECONDS = 0.1


def expected_digest(checksum: str | None) -> str | None:
    """Return the hexadecimal digits of a checksum, in lower case. Raises SlugError."""
    if not checksum:
        return None
    digest = checksum[len(_PREFIX) :].lower()
    if not checksum.upper().startswith(_PREFIX) or not _is_digest(digest):
        text = f'the checksum of the slug is malformed: "{checksum}"'
        raise SlugError(text, hint=f"write {_PREFIX} and {_DIGITS} hexadecimal digits")
    return digest


def digest_of(path: str | int) -> str:
    """Compute the digest of a file, given by its path or its descriptor. Raises GivenUp.

    It takes half a second for 500 MB. It reads no more than the size of the file: some
    files of /proc have no end.
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


def file_key(status: os.stat_result) -> str:
    """Return a key for the content of a file: it differs for any other content."""
    parts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return "-".join(f"{part:x}" for part in parts)


def url_key(url: str) -> str:
    """Return a key for a URL that reveals none of its secrets."""
    import hashlib

    return hashlib.sha256(url.encode()).hexdigest()


def share_key(uid: int, digest: str) -> str:
    """Return the key under which it is remembered that a user has had an archive."""
    return f"{uid}-{digest}"


def is_settled(status: os.stat_result) -> bool:
    """Tell whether a file last changed so long ago that its next change changes its key."""
    return time.time() - status.st_ctime > _SETTLED_SECONDS


class Known(NamedTuple):
    """The digest of an archive, and the ETag or date that its server gave with it."""

    digest: str
    validator: str = ""


class KnownDigests:
    """Remembers the digests of archives by their keys."""

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def get(self, key: str) -> Known | None:
        """Return what is remembered of a key, None if there is nothing or it is incomplete."""
        try:
            with open(os.path.join(self._directory, key), encoding="utf-8") as file:
                digest, _, rest = file.read().partition("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        is_whole = _is_digest(digest) and rest.endswith("\n") and rest[:-1].isprintable()
        return Known(digest, rest[:-1]) if is_whole else None

    def put(self, key: str, known: Known) -> None:
        """Remember a digest, not durably: one that is lost or incomplete is computed again."""
        with open(os.path.join(self._directory, key), "w", encoding="utf-8") as file:
            file.write(f"{known.digest}\n{known.validator}\n")

    def forget_all_but(self, digests: set[str]) -> None:
        """Forget every key whose digest is not one of these."""
        for key in os.listdir(self._directory):
            known = self.get(key)
            if not known or known.digest not in digests:
                try:
                    os.unlink(os.path.join(self._directory, key))
                except FileNotFoundError:
                    pass  # another hsup was faster


def _is_digest(text: str) -> bool:
    return len(text) == _DIGITS and set(text) <= _HEXADECIMAL
