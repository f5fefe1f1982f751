"""Make a control file of the release that runs, with the digest of its slug."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from hsup.errors import HsupError
from hsup.model import Release

if TYPE_CHECKING:
    from hsup.api import Settings

#: Returns the SHA-256 of the archive that a release would run now, None if it is not known.
DigestOf = Callable[[Release], str | None]

logger = logging.getLogger(__name__)


def no_digest(_release: Release) -> None:
    """Return None, as no digest is known."""


def control_file(release: Release) -> bytes:
    """Return a control file for a release, not much longer than the one it came from."""
    slug = release.slug
    content = {
        "Version": release.version,
        "Name": release.app,
        "Env": dict(release.config) or None,
        "Slug": slug and slug.location,
        "SlugChecksum": slug and slug.checksum,
        "Stack": release.stack,
        "LogplexURL": release.logplex_url,
        "LogDrains": [one.url for one in release.drains] or None,
        "Processes": [
            {
                "Type": one.name,
                "Quantity": one.quantity,
                "Size": one.size,
                "Args": list(one.command.words),
            }
            for one in release.processes
        ]
        or None,  # an empty list might be one bracket too many
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def unpinned(release: Release) -> Release:
    """Return a release without the checksum of its slug."""
    if release.slug is None:
        return release
    return release._replace(slug=release.slug._replace(checksum=None))


def unpinned_like(kept: Release, newest: Release, digest_of: DigestOf) -> Release:
    """Return a kept release without its checksum if it is the newest one, which has none.

    If the archive was replaced meanwhile, the newest one has other code.
    """
    if kept.slug is None or newest.slug is None or newest.slug.checksum is not None:
        return kept
    same = unpinned(kept)
    if not same.differs_in_scale_only(newest):
        return kept
    if "://" in newest.slug.location or kept.slug.checksum is None:
        return same
    digest = digest_of(newest)
    return same if kept.slug.checksum == f"SHA256:{digest}" else kept


def digests(settings: Settings) -> DigestOf:
    """Return a function that returns the digest of the archive at the path of a release's slug."""

    def digest_of(release: Release) -> str | None:
        if release.slug is None or release.slug.image is not None:
            return None
        from hsup.slugs import SlugStore  # slow to import, and rarely needed

        try:
            return SlugStore(settings).digest_of(release.slug, author=release.author)
        except (HsupError, OSError) as error:
            logger.info("cannot determine the digest of the slug of %s: %s", release, error)
            return None

    return digest_of
