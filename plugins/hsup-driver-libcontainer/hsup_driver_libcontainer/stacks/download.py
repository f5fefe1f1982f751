"""Download a file, and go on where a disturbed or killed download ended."""

from __future__ import annotations

import os
import time

import requests
import urllib3

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.manifest import shown
from hsup_driver_libcontainer.stacks.progress import Progress

_ATTEMPTS = 4
_SECONDS_TO_RETRY = 0.5
_TIMEOUT_SECONDS = 60
_CHUNK_BYTES = 1 << 18
_RANGE_NOT_SATISFIABLE = 416
_SERVER_ERROR = 500


def download(url: str, path: str, *, resumes: bool, progress: Progress) -> None:
    """Fetch an URL into a file, trying a few times. Raises DriverError.

    `resumes` says that a checksum will tell whether what is there already
    belongs to the rest.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            _fetch(url, path, resumes=resumes, progress=progress)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if not attempts_left or not _may_pass(error):
                raise DriverError(f"cannot download {shown(url)}: {_cause(error)}") from error
            time.sleep(_SECONDS_TO_RETRY)
        else:
            return


def _fetch(url: str, path: str, *, resumes: bool, progress: Progress) -> None:
    done = os.path.getsize(path) if resumes and os.path.exists(path) else 0
    # What the server compresses on its own account would not have the checksum.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={done}-"} if done else {})}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        if done and response.status_code == _RANGE_NOT_SATISFIABLE:
            # It is all there, or the checksum will tell.
            return
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            done = 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with open(path, "r+b" if done else "wb") as file:
            file.seek(done)
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                file.write(chunk)
                progress.show(file.tell(), total)


def _may_pass(error: Exception) -> bool:
    """Tell whether trying again may help: not where the server knows no such file."""
    response = getattr(error, "response", None)
    return response is None or response.status_code >= _SERVER_ERROR


def _cause(error: Exception) -> str:
    """Return the innermost cause, without the objects' addresses around it."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server says {response.status_code} {response.reason}"
    while error.__context__ is not None and isinstance(error.__context__, Exception):
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)
