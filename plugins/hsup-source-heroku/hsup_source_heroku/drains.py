"""The log drains that an application has on Heroku, to which hsup delivers if asked to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from hsup.errors import SourceError
from hsup.model import Drain
from hsup_source_heroku.answers import DrainAnswer, decode
from hsup_source_heroku.client import Answer, Client
from hsup_source_heroku.release_cache import ReleaseCache

#: What the platform has. Others would be hsup's own, which only its user may name.
_SCHEMES = ("https", "http", "syslog", "syslog+tls")
#: RFC 3986, 3.1; nothing that is longer is shown.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,19}", re.ASCII)


class AppDrains:
    """The drains as they were read last; they are on disk for a start without the API."""

    def __init__(self, client: Client, app: str, kept: ReleaseCache) -> None:
        self._client = client
        self._path = f"/apps/{quote(app, safe='')}/log-drains"
        self._cache = kept
        self._answer = Answer()
        self._drains: tuple[DrainAnswer, ...] | None = None
        self._told: frozenset[str] = frozenset()

    @property
    def known(self) -> tuple[Drain, ...]:
        """Return the drains that hsup can deliver to, those on disk before any were read."""
        if self._drains is None:
            self._drains = self._cache.drains()
        usable = (one for one in self._drains if not _problem(one))
        return tuple(Drain(one.url, one.token) for one in usable if one.url)

    def ask(self) -> Sequence[str]:
        """Send one request, which is mostly answered with 304; return what to warn of.

        Raises ApiError.
        """
        answer = self._client.get(self._path, etag=self._answer.etag)
        if answer.body is None:
            return ()
        drains = decode(answer.body, tuple[DrainAnswer, ...], self._path)
        # The platform may list them in any order.
        drains = tuple(sorted(drains, key=lambda one: (one.token or "", one.url or "")))
        self._answer = answer
        return [*self._news(drains), *self._keep(drains)]

    def _news(self, drains: Sequence[DrainAnswer]) -> Sequence[str]:
        """Return why drains are ignored, as far as it was not told before."""
        problems = frozenset(filter(None, map(_problem, drains)))
        news, self._told = problems - self._told, problems
        return sorted(news)

    def _keep(self, drains: tuple[DrainAnswer, ...]) -> Iterator[str]:
        """Keep drains, also on disk; yield why they cannot be kept there."""
        if self._drains is None:
            self._drains = self._cache.drains()
        before, self._drains = self._drains, drains
        try:
            if drains != before:
                self._cache.keep_drains(drains)
        except SourceError as error:  # lines are delivered nevertheless
            yield str(error)


def _problem(drain: DrainAnswer) -> str | None:
    """Return why hsup does not deliver to a drain; nothing of its URL but the scheme."""
    if drain.url is None:
        of = f'add-on "{drain.addon.name}"' if drain.addon else "the application"
        return f"ignoring a log drain of {of}: the platform does not tell its URL"
    scheme, colon, _ = drain.url.partition(":")
    if scheme.lower() in _SCHEMES:
        return None
    if not colon or not _SCHEME.fullmatch(scheme):
        return "ignoring a log drain of the application: its URL has no scheme"
    known = ", ".join(_SCHEMES)
    return f'ignoring a log drain of the application: its scheme is "{scheme}", not one of {known}'
