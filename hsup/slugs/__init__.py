"""Keep the slugs that dynos run from, unpacked once and shared by all dynos.

    store = SlugStore(settings)
    with store.unpack(release.slug) as unpacked:
        mount(unpacked.directory, "/app")

Importing this is cheap: the modules that download and unpack are imported when a
slug is not in the store yet.
"""

from __future__ import annotations

from hsup.archives.errors import ChecksumError, HostileSlug, SlugDenied, SlugError, SlugUnreachable
from hsup.slugs.directory import Unpacked
from hsup.slugs.store import SlugStore

__all__ = [
    "ChecksumError",
    "HostileSlug",
    "SlugDenied",
    "SlugError",
    "SlugStore",
    "SlugUnreachable",
    "Unpacked",
]
