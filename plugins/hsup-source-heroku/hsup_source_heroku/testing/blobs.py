"""Serve the archives of slugs, at URLs that expire."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from urllib.parse import parse_qs, urlsplit

from hsup_source_heroku.testing.answers import Headers, HttpAnswer
from hsup_source_heroku.testing.apps import Slug

DIRECTORY = "/blobs/"

_RANGE = re.compile(r"bytes=(?P<start>\d+)-(?P<end>\d*)")
_EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


class Blobs:
    """The archives that can be downloaded now, by their signatures."""

    def __init__(self) -> None:
        self._signatures: dict[str, tuple[Slug, float]] = {}

    def sign(self, slug: Slug) -> str:
        """Return the path and query of a slug, which expire."""
        signature = secrets.token_hex(8)
        self._signatures[signature] = (slug, time.monotonic())
        return f"{DIRECTORY}{slug.id}?signature={signature}"

    def expire(self) -> None:
        """Let all signatures expire."""
        self._signatures.clear()

    def answer(self, target: str, headers: Headers, seconds: float) -> HttpAnswer:
        """Return the archive of a signed target, or the error for an expired one."""
        slug = self._signed(target, seconds)
        if slug is None:
            return HttpAnswer(403, _EXPIRED, {"Content-Type": "application/xml"})
        return _part(slug.archive, headers)

    def _signed(self, target: str, seconds: float) -> Slug | None:
        parts = urlsplit(target)
        signature = parse_qs(parts.query).get("signature", [""])[0]
        slug, given = self._signatures.get(signature, (None, 0.0))
        if slug is None or parts.path != f"{DIRECTORY}{slug.id}":
            return None
        return slug if time.monotonic() <= given + seconds else None


def _part(archive: bytes, headers: Headers) -> HttpAnswer:
    """Return an archive, or the requested range of it."""
    etag = f'"{hashlib.md5(archive, usedforsecurity=False).hexdigest()}"'  # as in S3
    size = len(archive)
    more = {"ETag": etag, "Accept-Ranges": "bytes"}
    wanted = _RANGE.fullmatch(headers.get("Range", ""))
    if wanted is None or headers.get("If-Range", etag) != etag:
        return HttpAnswer(200, archive, more)
    start, end = int(wanted["start"]), min(int(wanted["end"] or size), size - 1)
    if start > end:
        return HttpAnswer(416, headers={"Content-Range": f"bytes */{size}"})
    more["Content-Range"] = f"bytes {start}-{end}/{size}"
    return HttpAnswer(206, archive[start : end + 1], more)
