"""Send requests to the Platform API, one at a time; all methods block.

The library requests handles proxies and certificates. Its retries are not used, as the time of the
next request depends on how many the account has left.
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

import requests
import urllib3

import hsup
from hsup.archives.web import is_of_url, retry_after_seconds, session
from hsup.cancellation import require_wanted
from hsup.numerals import whole_number
from hsup_source_heroku import API_URL, CREATE_KEY, TOKENS, cadence
from hsup_source_heroku.budget import HOURLY_LIMIT, Budget
from hsup_source_heroku.errors import (
    ApiError,
    BrokenAnswer,
    NotFound,
    OverBudget,
    RateLimited,
    Unauthorized,
    Unreachable,
)

#: Timeouts: to connect and to send a request; between two pieces of an answer; for all of it.
_TIMEOUT_SECONDS = (5.0, 20.0)
_PIECE_SECONDS = 20.0
_ANSWER_SECONDS = 60.0
_CHUNK = 1 << 16
#: A stream with header and checksum of gzip (zlib.decompressobj).
_GZIP_FORMAT = 15 + 16
#: More than any list of the API has; a server that sends more is not the API.
_MOST_BYTES = 64 << 20

_UNCHANGED, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _LIMITED = 304, 401, 403, 404, 429
_REDIRECT, _FIRST_REFUSAL = 300, 400
#: The id of an error, and the header that Heroku's first command line looked for. The published
#: schema has neither.
_TWO_FACTOR, _TWO_FACTOR_HEADER = "two_factor", "Heroku-Two-Factor-Required"
#: How much is shown of an error of the API.
_MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer of the API; `body` is None if it has not changed since the ETag."""

    body: bytes | None = None
    etag: str | None = None
    next_range: str | None = None


class _EndlessError(Exception):
    """An answer is slower or larger than any real answer of the API."""


class _SilentError(Exception):
    """The server sends nothing more."""


class _Bounds:
    """Limits time and size of one answer, from its first byte on."""

    def begin(self) -> None:
        self._began = self._last = time.monotonic()
        self._bytes = 0

    def __call__(self, count: int) -> None:
        require_wanted()
        now = time.monotonic()
        self._bytes += count
        if count:
            self._last = now
        elif now - self._last > _PIECE_SECONDS:
            raise _SilentError
        if now - self._began > _ANSWER_SECONDS or self._bytes > _MOST_BYTES:
            raise _EndlessError


class _Bearer(requests.auth.AuthBase):
    """Authenticates with the key; without it, requests would use ~/.netrc."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class Client:
    """Access to the API at `url` with one key.

    `remaining` is how many requests the account has left. Threads may share a client, whose
    requests are sent one after the other.
    """

    def __init__(
        self,
        url: str,
        token: str,
        budget: Budget,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.remaining: int | None = None
        self._not_before = 0.0
        self._budget = budget
        self._clock = clock
        self._asking = Lock()
        self._bounds = _Bounds()
        self._session = session(self._bounds)
        self._session.auth = _Bearer(token)
        self._session.headers["User-Agent"] = f"hsup/{hsup.__version__}"
        self._session.headers["Accept-Encoding"] = "gzip"

    def get(
        self,
        path: str,
        *,
        etag: str | None = None,
        wanted: str | None = None,
        variant: str = "3",
    ) -> Answer:
        """Get a path; `wanted` is the Range of a list. Raises ApiError and GivenUp."""
        headers = {"Accept": f"application/vnd.heroku+json; version={variant}"}
        if etag:
            headers["If-None-Match"] = etag
        if wanted:
            headers["Range"] = wanted
        with self._asking:
            self._require_leave()
            response, body = self._send_reliably(path, headers)
            self._note_remaining(response)
            if response.status_code >= _REDIRECT and response.status_code != _UNCHANGED:
                raise self._refusal(response, body, path)
        is_unchanged = response.status_code == _UNCHANGED
        if is_unchanged and not etag:
            raise BrokenAnswer(f"{self.url} answered 304 to {path} without a conditional request")
        return Answer(
            body=None if is_unchanged else body,
            etag=response.headers.get("ETag", etag if is_unchanged else None),
            next_range=response.headers.get("Next-Range"),
        )

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _require_leave(self) -> None:
        """Raise RateLimited while the API has asked to wait, OverBudget without a budget left."""
        now = self._clock()
        if (wait := self._not_before - now) > 0:
            text = f"{self.url} asked hsup to wait {math.ceil(wait)} s more"
            raise RateLimited(text, retry_after=wait)
        if (wait := self._budget.wait_seconds(now)) > 0:
            share = f"{HOURLY_LIMIT // 3:,} requests an hour"
            text = f"hsup's share of the API rate limit ({share}) is used up"
            hint = f"wait {math.ceil(wait)} s; hsup then asks again"
            raise OverBudget(text, hint=hint, retry_after=wait)

    def _send_reliably(
        self, path: str, headers: Mapping[str, str]
    ) -> tuple[requests.Response, bytes]:
        """Send a request, a second time if an idle connection had been closed."""
        try:
            try:
                return self._send(path, headers)
            except requests.ConnectionError as error:
                if not _is_dropped(error):
                    raise
                self._require_leave()
                return self._send(path, headers)
        except _EndlessError:
            raise Unreachable(f"the answer of {self.url} is too long") from None
        except (_SilentError, requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError):
            raise Unreachable(f"{self.url} did not answer in time") from None
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            # From requests; from urllib3, while it reads a body; and for settings such as
            # REQUESTS_CA_BUNDLE.
            is_reached = isinstance(error, urllib3.exceptions.ProtocolError) or _is_dropped(error)
            what = f"{'read the answer of' if is_reached else 'reach'} {self.url}"
            raise Unreachable(f"cannot {what}: {_reason(error)}") from None

    def _send(self, path: str, headers: Mapping[str, str]) -> tuple[requests.Response, bytes]:
        self._budget.spend(self._clock())
        self._bounds.begin()
        with self._session.get(
            self.url + path,
            headers=headers,
            timeout=_TIMEOUT_SECONDS,
            stream=True,
            allow_redirects=False,
        ) as response:
            return response, self._read(response)

    def _read(self, response: requests.Response) -> bytes:
        """Read and decompress the body; unlike requests, this can limit its decompressed size."""
        parts = []
        while part := response.raw.read1(_CHUNK, decode_content=False):
            parts.append(part)
        body = b"".join(parts)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if not body or encoding == "identity":
            return body
        if encoding not in {"gzip", "x-gzip"}:
            raise BrokenAnswer(f'{self.url} answered in the unknown encoding "{encoding}"')
        try:
            body = zlib.decompressobj(_GZIP_FORMAT).decompress(body, _MOST_BYTES + 1)
        except zlib.error as error:
            raise BrokenAnswer(f"{self.url} sent damaged gzip data: {error}") from None
        if len(body) > _MOST_BYTES:
            raise _EndlessError
        return body

    def _note_remaining(self, response: requests.Response) -> None:
        remaining = whole_number(response.headers.get("RateLimit-Remaining", ""))
        if remaining is not None:
            self.remaining = remaining

    def _refusal(self, response: requests.Response, body: bytes, path: str) -> ApiError:
        status = response.status_code
        message = _field(body, "message") or f"status {status}"
        if response.headers.get(_TWO_FACTOR_HEADER) or (
            status in {_UNAUTHORIZED, _FORBIDDEN} and _field(body, "id") == _TWO_FACTOR
        ):
            hint = f"set {TOKENS[0]} to a key that needs no second factor ({CREATE_KEY})"
            text = f"{self.url} asks for a second factor, which hsup cannot give: {message}"
            return Unauthorized(text, hint=hint)
        if status == _UNAUTHORIZED:
            hint = f"set {TOKENS[0]} to a valid key ({CREATE_KEY})"
            return Unauthorized(f"{self.url} rejected the API key: {message}", hint=hint)
        if status == _FORBIDDEN:
            hint = "use the API key of an account with access to the application"
            return Unauthorized(f"{self.url} refused {path}: {message}", hint=hint)
        if status == _NOT_FOUND:
            return NotFound(f"{self.url} has no {path}: {message}")
        if status < _FIRST_REFUSAL:
            hint = f"set {API_URL} to the URL of the API itself"
            return ApiError(f"{self.url} redirects {path} elsewhere", hint=hint)
        error_type = RateLimited if status == _LIMITED else ApiError
        text = f"{self.url} answered {path} with status {status}: {message}"
        retry_after = retry_after_seconds(response)
        if retry_after is not None:
            longest = cadence.LONGEST_RETRY_AFTER_SECONDS
            self._not_before = self._clock() + min(retry_after, longest)
        return error_type(text, retry_after=retry_after)


def _field(body: bytes, key: str) -> str:
    """Return a field of the body of an error, "" without one."""
    import json

    try:
        field = json.loads(body)[key]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return " ".join(str(field).split())[:_MOST_CHARACTERS]


def _is_dropped(error: Exception) -> bool:
    """Tell whether a connection was closed before an answer, as happens to idle ones."""
    if not isinstance(error, requests.ConnectionError):
        return False
    return bool(error.args) and isinstance(error.args[0], urllib3.exceptions.ProtocolError)


def _reason(error: Exception) -> str:
    """Return the cause in a few words, without the objects and URLs in errors of requests."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "it did not answer in time"
    if is_of_url(cause):
        return "its URL or that of a proxy (HTTPS_PROXY) is malformed"
    return getattr(cause, "strerror", None) or str(cause) or type(error).__name__
