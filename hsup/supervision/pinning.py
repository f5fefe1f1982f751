"""Remember which archive each release was built from, whatever is at its path by now.

A slug without a checksum is whatever archive is at its path, or at its URL. Its release runs
the one that it was built from: specs of dynos have that archive's checksum. So another archive
at the same path changes a release, and a dyno that is started again has the code of its release.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hsup.model import Release, Slug
from hsup.threads import in_thread

#: Returns the SHA-256 of the archive that a slug was unpacked from, None if it is not known.
DigestOf = Callable[[Slug], str | None]


class Pins:
    """The slugs of the releases that run, or were built last, with their checksums."""

    def __init__(self, digest_of: DigestOf) -> None:
        self._digest_of = digest_of
        self._slugs: dict[int, Slug] = {}

    async def note(self, release: Release, running: Release | None) -> None:
        """Note what a release was just built from; forget all others but the running one."""
        kept = {release.version} if running is None else {release.version, running.version}
        self._slugs = {version: slug for version, slug in self._slugs.items() if version in kept}
        slug = release.slug
        if slug is None or slug.checksum or slug.image is not None or slug.inode is not None:
            return
        digest = await in_thread(partial(self._digest_of, slug))
        if digest is not None:
            self._slugs[release.version] = slug._replace(checksum=f"SHA256:{digest}")

    def pinned(self, release: Release) -> Release:
        """Return a release with the checksum of its slug, if that is known."""
        slug = self._slugs.get(release.version)
        return release if slug is None else release._replace(slug=slug)
