"""Find which archive a release was built from, whatever is at its path later.

A slug without a checksum is whatever archive is at its path, or at its URL. Its release runs
the one that it was built from: specs of dynos have that archive's checksum. So another archive
at the same path changes a release, and a dyno that is started again has the code of its release.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hsup.model import Slug
from hsup.threads import in_thread

#: Returns the SHA-256 of the archive that a slug was unpacked from, None if it is not known.
DigestOf = Callable[[Slug], str | None]


async def pinned(slug: Slug | None, digest_of: DigestOf) -> Slug | None:
    """Return a slug that was just built with the checksum of its archive, if that is known."""
    if slug is None or slug.checksum or slug.image is not None or slug.inode is not None:
        return slug
    digest = await in_thread(partial(digest_of, slug))
    return slug if digest is None else slug._replace(checksum=f"SHA256:{digest}")
