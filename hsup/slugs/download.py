"""Download an archive into a folder, going on where an earlier try was broken off.

archive      what has come so far
validator    the ETag, or the date, that the server gave with it
"""

from __future__ import annotations

import logging
import os
import time
from itertools import count

import requests
import urllib3
from requests.adapters import HTTPAdapter

from hsup.slugs.errors import (
    HostileSlug,
    SlugDenied,
    SlugError,
    SlugUnchanged,
    SlugUnreachable,
)
from hsup.slugs.limits import MAX_SIZE
from hsup.slugs.location import ArchiveURL
from hsup.slugs.progress import Progress

CHUNK = 1 << 18
#: To connect; between two pieces of the content.
TIMEOUT_SECONDS = (10.0, 30.0)
#: Tries after the first, and after the last that brought more than all before.
RETRIES = 4
#: All tries, also of a server that gives a little each time.
MAX_TRIES = 50
#: The longest that a server may ask to wait between tries.
MAX_WAIT_SECONDS = 60

_BUSY = frozenset({429, 500, 502, 503, 504})
_DENIED = frozenset({401, 403, 404, 410})
_WHOLE, _PART, _UNCHANGED, _NOTHING_LEFT = 200, 206, 304, 416


class Download:
    """One archive, and the folder that it comes into."""

    def __init__(
        self,
        archive: ArchiveURL,
        folder: str,
        progress: Progress,
        *,
        max_bytes: int | None = None,
        subject: str = "slug",
    ) -> None:
        """Take what to download; `subject` is what errors call it."""
        self.path = os.path.join(folder, "archive")
        self._validator_path = os.path.join(folder, "validator")
        self._archive = archive
        self._name = f"{subject} {archive}"
        self._max_bytes = max_bytes
        self._progress = progress

    @property
    def validator(self) -> str:
        """Return the strong ETag or the date of what has come so far, "" without one."""
        try:
            with open(self._validator_path, encoding="latin-1") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def run(self, unless: str | None, *, backoff_seconds: float) -> None:
        """Return when `path` is complete.

        `unless` is the validator of what is known already. Raises SlugUnchanged
        where that is what the server has, SlugDenied where it has nothing for
        us, SlugUnreachable where it cannot be reached; with `unless` after one
        try, since the caller has something to go on with.
        """
        retries = RETRIES if unless is None else 0
        largest, empty_tries = self._size(), 0
        with _session(retries, backoff_seconds) as session:
            for tries in count(1):
                try:
                    self._try(session, unless)
                except urllib3.exceptions.HTTPError as error:
                    empty_tries = 0 if self._size() > largest else empty_tries + 1
                    if empty_tries > retries or tries == MAX_TRIES:
                        # Its text may have the URL in it, with a signature or a password.
                        raise self._unreachable(_reason(error)) from None
                else:
                    return
                largest = max(largest, self._size())
                time.sleep(backoff_seconds * 2**empty_tries)

    def _try(self, session: requests.Session, unless: str | None) -> None:
        """Fetch what is missing. Raises urllib3's errors where the server breaks off."""
        start = self._size() if self.validator else 0
        with self._request(session, start, unless) as response:
            if response.status_code == _UNCHANGED and unless:
                raise SlugUnchanged(f"{self._name} has not changed")
            if _is_other_part(response, start):
                os.truncate(self.path, 0)
                raise urllib3.exceptions.ProtocolError("what has come so far is of no use")
            self._require_content(response)
            if response.status_code == _WHOLE:
                start = 0
                self._note_validator(response)
            self._receive(response, start)

    def _request(
        self, session: requests.Session, start: int, unless: str | None
    ) -> requests.Response:
        # Some servers would compress what is compressed, and tar.gz is no encoding.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": self.validator}
        elif unless:
            is_tag = unless.startswith('"')
            headers["If-None-Match" if is_tag else "If-Modified-Since"] = unless
        url = self._archive.url
        try:
            return session.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise self._unreachable(_reason(error)) from None
        except (requests.RequestException, ValueError) as error:
            # A redirect to what is no URL is a ValueError (urllib.parse.urlsplit).
            text = f"cannot download {self._name}: {_reason(error)}"
            raise SlugError(text, hint="check the URL") from None

    def _require_content(self, response: requests.Response) -> None:
        if response.status_code in {_WHOLE, _PART}:
            return
        answer = f"{response.status_code} {response.reason}".strip()
        if response.status_code in _BUSY:
            raise self._unreachable(f"the server answered {answer}")
        text = f"cannot download {self._name}: the server answered {answer}"
        if response.status_code in _DENIED:
            raise SlugDenied(text, hint="check the URL; if it is a signed one, get a new one")
        raise SlugError(text, hint="check the URL")

    def _note_validator(self, response: requests.Response) -> None:
        """Keep what tells this content from another; a weak ETag does not tell its bytes."""
        tag = response.headers.get("ETag", "")
        strong = tag if tag.startswith('"') else ""
        with open(self._validator_path, "w", encoding="latin-1") as file:
            file.write(strong or response.headers.get("Last-Modified", ""))

    def _receive(self, response: requests.Response, start: int) -> None:
        length = response.headers.get("Content-Length", "")
        label = f"downloading {os.path.basename(str(self._archive))}"
        with (
            open(self.path, "ab" if start else "wb") as file,
            self._progress(label, int(length) if length.isdecimal() else 0) as advance,
        ):
            for piece in response.raw.stream(CHUNK, decode_content=False):
                file.write(piece)
                advance(len(piece))
                if self._max_bytes is not None and file.tell() > self._max_bytes:
                    text = f"{self._name} has more than {self._max_bytes} bytes"
                    raise HostileSlug(text, hint=f"if you trust it, set {MAX_SIZE} to more")

    def _size(self) -> int:
        try:
            return os.path.getsize(self.path)
        except FileNotFoundError:
            return 0

    def _unreachable(self, reason: str) -> SlugUnreachable:
        text = f"cannot download {self._name}: {reason}"
        return SlugUnreachable(text, hint="check the network, and start again")


def _is_other_part(response: requests.Response, start: int) -> bool:
    """Tell whether a server has understood something else than to go on at `start`."""
    if response.status_code == _PART:
        return not response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    return response.status_code == _NOTHING_LEFT and start > 0


def _session(retries: int, backoff_seconds: float) -> requests.Session:
    # It logs paths with their queries, and signatures of URLs are in these.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    retry = urllib3.Retry(
        total=retries,
        backoff_factor=backoff_seconds,
        status_forcelist=_BUSY,
        raise_on_status=False,
        retry_after_max=MAX_WAIT_SECONDS,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _reason(error: BaseException) -> str:
    """Return why a request failed, in words that have no URL in them."""
    cause = error
    while deeper := cause.__cause__ or cause.__context__:
        cause = deeper
    if isinstance(cause, TimeoutError):
        return "the server did not answer in time"
    reason = cause.strerror if isinstance(cause, OSError) else None
    return reason or type(cause).__name__
