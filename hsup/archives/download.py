"""Download an archive into a directory, resuming an earlier try that broke off.

archive      the bytes received so far
validator    the ETag, or the date, that the server sent with them
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from itertools import count
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url, urldefragauth

from hsup.archives.errors import (
    HostileSlug,
    SlugDenied,
    SlugError,
    SlugUnchanged,
    SlugUnreachable,
)
from hsup.archives.limits import (
    DEFAULT_MIN_RATE,
    MAX_SIZE,
    MIN_RATE,
    MIN_RATE_SECONDS,
)
from hsup.archives.location import ArchiveURL
from hsup.archives.progress import Progress
from hsup.archives.web import is_of_url, redirect_target, retry_after_seconds, session
from hsup.cancellation import pause, require_wanted
from hsup.long_work import amount, current
from hsup.numerals import whole_number

CHUNK = 1 << 18
#: Timeouts for connecting, and for sending a request.
TIMEOUT_SECONDS = (10.0, 30.0)
#: Retries after the first try, or after the last try that brought more than those before.
RETRIES = 4
#: All tries, even if the server sends a little more each time.
MAX_TRIES = 50
#: The longest wait between tries that a server may ask for.
MAX_WAIT_SECONDS = 60
MAX_REDIRECTS = 10

_BUSY = frozenset({429, 500, 502, 503, 504})
_DENIED = frozenset({401, 403, 404, 410})
_WHOLE, _PART, _UNCHANGED, _NOTHING_LEFT = 200, 206, 304, 416
#: More time between two looks is not the server's: hsup may have been stopped (SIGSTOP).
_LONGEST_STEP_SECONDS = 1.0


class Download:
    """The download of one archive into a directory."""

    def __init__(
        self,
        archive: ArchiveURL,
        directory: str,
        progress: Progress,
        *,
        max_bytes: int | None = None,
        min_rate: int = DEFAULT_MIN_RATE,
        subject: str = "slug",
    ) -> None:
        """Set up a download; `min_rate` is in bytes per second, `subject` is for error messages."""
        self.path = os.path.join(directory, "archive")
        self._validator_path = os.path.join(directory, "validator")
        self._archive = archive
        self._name = f'{subject} "{archive}"'
        self._work = current()
        what = self._work.slug if subject == "slug" else None
        what = what or f"{subject} {os.path.basename(archive.shown)}"
        self._label = f"fetching {what} from {urlsplit(archive.shown).netloc}"
        self._trouble = ""
        self._max_bytes = max_bytes
        self._pace = _Pace(min_rate)
        self._progress = progress

    @property
    def validator(self) -> str:
        """Return the strong ETag or the date of the bytes received so far, "" without one."""
        try:
            with open(self._validator_path, encoding="latin-1") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def run(self, unless: str | None, *, backoff_seconds: float) -> None:
        """Download until `path` is complete.

        `unless` is the validator of the content that the caller has. Raises SlugUnchanged
        if the server still has that, SlugDenied if it refuses the archive, and
        SlugUnreachable if it cannot be reached or is too slow: after one try with `unless`,
        since the caller can use what it has. Raises GivenUp.
        """
        # urllib3 logs paths with their queries, which contain the signatures of URLs.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        retries = RETRIES if unless is None else 0
        largest, empty_tries = self._size(), 0
        with self._work.doing(self._describe), session(self._pace) as asking:
            for tries in count(1):
                try:
                    self._try(asking, unless)
                except _TooSlow:
                    rate = self._pace.min_rate
                    text = f"received less than {rate} bytes a second for {MIN_RATE_SECONDS:g} s"
                    hint = f"start again to resume the download, or lower {MIN_RATE}"
                    raise self._unreachable(text, hint=hint) from None
                except _Useless:
                    continue  # with a request for all of it; this run has not failed yet
                except _IncompleteDownload as error:
                    empty_tries = 0 if self._size() > largest else empty_tries + 1
                    if empty_tries > retries or tries >= MAX_TRIES:
                        raise self._unreachable(error.reason) from None
                    largest = max(largest, self._size())
                    self._trouble = f": {error.reason}, retrying"
                    asked = min(error.wait_seconds, MAX_WAIT_SECONDS)
                    pause(max(backoff_seconds * 2**empty_tries, asked))
                else:
                    return

    def _describe(self) -> str:
        return f"{self._label}{self._trouble}"

    def _try(self, asking: requests.Session, unless: str | None) -> None:
        """Fetch what is missing. Raises _IncompleteDownload if a later try may succeed."""
        self._pace.begin()
        start = self._size() if self.validator else 0
        try:
            with self._request(asking, start, unless) as response:
                if response.status_code == _UNCHANGED and unless:
                    raise SlugUnchanged(f"{self._name} has not changed")
                if _is_other_part(response, start):
                    if not start:
                        raise _IncompleteDownload("the server sent only a part of the archive")
                    os.truncate(self.path, 0)
                    raise _Useless
                self._require_content(response)
                if response.status_code == _WHOLE:
                    start = 0
                    open(self.path, "wb").close()  # before the validator of new content is noted
                    self._note_validator(response)
                self._receive(response, start)
        except urllib3.exceptions.HTTPError as error:
            # The error may quote the URL, with a signature or a password.
            raise _IncompleteDownload(_reason(error)) from None

    def _request(
        self, asking: requests.Session, start: int, unless: str | None
    ) -> requests.Response:
        # Some servers would compress the archive again, or call tar.gz an encoding.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": self.validator}
        elif unless:
            is_tag = unless.startswith('"')
            headers["If-None-Match" if is_tag else "If-Modified-Since"] = unless
        try:
            return self._follow(asking, headers)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise _IncompleteDownload(_reason(error)) from None
        except (requests.RequestException, ValueError) as error:
            # A redirect to a malformed URL is a ValueError (urllib.parse.urlsplit).
            text = f"cannot download {self._name}: {_reason(error)}"
            raise SlugError(text, hint="check the URL") from None

    def _follow(self, asking: requests.Session, headers: dict[str, str]) -> requests.Response:
        """Follow redirects, and return the answer of the last server.

        A server gets the user and password of its own URL, not those of ~/.netrc, which
        requests would read, nor those for another server.
        """
        url = self._archive.url
        user = get_auth_from_url(url)
        for _ in range(MAX_REDIRECTS):
            response = asking.get(
                urldefragauth(url),
                headers=headers,
                auth=HTTPBasicAuth(*user) if any(user) else _Nobody(),
                stream=True,
                timeout=TIMEOUT_SECONDS,
                allow_redirects=False,
            )
            target = redirect_target(response)
            if target is None:
                return response
            response.close()
            target = urljoin(url, target)
            credentials = get_auth_from_url(target)
            if any(credentials) or _origin(target) != _origin(url):
                user = credentials
            url = target
        raise requests.TooManyRedirects

    def _require_content(self, response: requests.Response) -> None:
        if response.status_code in {_WHOLE, _PART}:
            return
        answer = f"{response.status_code} {response.reason}".strip()
        if response.status_code in _BUSY:
            wait = retry_after_seconds(response) or 0.0
            raise _IncompleteDownload(f"the server answered {answer}", wait)
        text = f"cannot download {self._name}: the server answered {answer}"
        if response.status_code in _DENIED:
            raise SlugDenied(text, hint="check the URL; if it is signed, get a new one")
        raise SlugError(text, hint="check the URL")

    def _note_validator(self, response: requests.Response) -> None:
        """Keep what identifies this content; a weak ETag does not identify its bytes."""
        tag = response.headers.get("ETag", "")
        strong = tag if tag.startswith('"') else ""
        with open(self._validator_path, "w", encoding="latin-1") as file:
            file.write(strong or response.headers.get("Last-Modified", ""))

    def _receive(self, response: requests.Response, start: int) -> None:
        """Write each piece when it arrives: a kill loses none of them."""
        left = whole_number(response.headers.get("Content-Length", ""))
        length = 0 if left is None else start + left
        label = f"{self._label}, resumed at {amount(start, 0)}" if start else self._label
        size = start
        with (
            open(self.path, "ab", buffering=0) as file,
            self._progress(label, length) as advance,
        ):
            advance(start)
            while piece := response.raw.read1(CHUNK, decode_content=False):
                size += len(piece)
                _write(file.fileno(), piece)
                advance(len(piece))
                self._pace.advance(len(piece))
                if self._max_bytes is not None and size > self._max_bytes:
                    text = f"{self._name} is larger than {self._max_bytes} bytes"
                    raise HostileSlug(text, hint=f"raise {MAX_SIZE} if you trust the archive")

    def _size(self) -> int:
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def _unreachable(
        self, reason: str, *, hint: str = "check the network and start again"
    ) -> SlugUnreachable:
        return SlugUnreachable(f"cannot download {self._name}: {reason}", hint=hint)


class _IncompleteDownload(Exception):
    """A try that did not complete the download; the next one may."""

    def __init__(self, reason: str, wait_seconds: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wait_seconds = reason, wait_seconds


class _Useless(Exception):
    """The server could not resume the bytes received so far, and they were removed."""


class _TooSlow(Exception):
    """The content arrives at less than the user's minimum rate."""


class _Pace:
    """Watches how fast the content arrives, and whether it is still wanted.

    Only content counts: not headers, interim answers, lines of chunks, or trailers.
    """

    def __init__(self, min_rate: int) -> None:
        self.min_rate = min_rate
        self.begin()

    def begin(self) -> None:
        """Begin the next period over which the rate is measured."""
        self._passed_seconds, self._bytes, self._seen = 0.0, 0, time.monotonic()

    def advance(self, count: int) -> None:
        """Count bytes of the content."""
        self._bytes += count

    def __call__(self, _: int) -> None:
        require_wanted()
        now = time.monotonic()
        self._passed_seconds += min(now - self._seen, _LONGEST_STEP_SECONDS)
        self._seen = now
        if self._passed_seconds < MIN_RATE_SECONDS:
            return
        if self._bytes < self.min_rate * self._passed_seconds:
            raise _TooSlow
        self.begin()


class _Nobody(AuthBase):
    """Keeps requests from using ~/.netrc."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """The server that a password is for."""

    scheme: str
    host: str | None
    port: int | None


def _origin(url: str) -> _Origin:
    parts = urlsplit(url)
    return _Origin(scheme=parts.scheme, host=parts.hostname, port=parts.port)


def _is_other_part(response: requests.Response, start: int) -> bool:
    """Tell whether a server sent another part than the one from `start` on."""
    if response.status_code == _PART:
        return not response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return response.status_code == _NOTHING_LEFT and start > 0


def _write(descriptor: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(descriptor, left) :]


def _reason(error: BaseException) -> str:
    """Return why a request failed, without quoting its URL."""
    cause = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    if is_of_url(cause):
        return "the URL, or that of a proxy, is malformed"
    reason = cause.strerror if isinstance(cause, OSError) else None
    return reason or type(cause).__name__
