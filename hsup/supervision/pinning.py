"""Note which archive a release was built from, whatever is at its path later.

A slug without a checksum is whatever archive is at its path, or at its URL. Its release runs
the one that it was built from: specs of dynos have that archive's checksum. So another archive
at the same path changes a release, and a dyno that is started again has the code of its release.
"""

from __future__ import annotations

from hsup.model import Slug


def pinned(slug: Slug | None, digest: str | None) -> Slug | None:
    """Return a slug with the checksum of the archive that it was built from.

    `digest` is that archive's SHA-256, None if a driver does not use `hsup.slugs`, or no archive.
    """
    if slug is None or digest is None or slug.checksum:
        return slug
    return slug._replace(checksum=f"SHA256:{digest}")
