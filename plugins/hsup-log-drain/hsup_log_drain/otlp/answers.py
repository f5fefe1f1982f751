"""Judge the answer of an OTLP receiver.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from hsup.errors import DrainError, DrainRefused
from hsup_log_drain.http.client import phrase
from hsup_log_drain.http.connection import Answer
from hsup_log_drain.http.retry_after import retry_seconds
from hsup_log_drain.otlp.messages import rejection

_log = logging.getLogger(__name__)

#: The statuses after which a request is to be tried again; after no other.
_RETRYABLE = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_PROTOBUF = b"application/x-protobuf"
_PAGE = b"text/html"

#: How much of what a receiver says is repeated.
_REASON_LENGTH = 200

_HINTS: Mapping[int, str] = {
    HTTPStatus.UNAUTHORIZED: "give a user and a password, or a parameter header.NAME",
    HTTPStatus.NOT_FOUND: "end the path of the URL with /v1/logs",
    HTTPStatus.METHOD_NOT_ALLOWED: "end the path of the URL with /v1/logs",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "use a receiver of OTLP over HTTP with protobuf",
}


class Judge:
    """Knows which answers are good, and what to say of the others.

    `secrets` are texts that a receiver may have been sent, and must not be repeated.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secret.casefold() for secret in secrets if secret)
        self._warning = ""

    def judge(self, answer: Answer, record_count: int) -> None:
        """Return if a receiver has all records. Raises DrainRefused or another DrainError."""
        status = answer.status
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            self._judge_success(answer, record_count)
            return
        text = f"it answered {status}{phrase(status)}"
        if status in _RETRYABLE:
            raise DrainError(text, retry_seconds=retry_seconds(answer.headers))
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            hint = "redirects are not followed: use the URL that it redirects to"
            raise DrainRefused(text, hint=hint)
        raise DrainRefused(text, hint=_HINTS.get(status))

    def _judge_success(self, answer: Answer, record_count: int) -> None:
        kind = dict(answer.headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind == _PAGE:
            hint = "end the path of the URL with /v1/logs"
            raise DrainRefused("it answered with a page, and is no OTLP receiver", hint=hint)
        if kind != _PROTOBUF:
            return
        try:
            said = rejection(answer.body)
        except ValueError:  # or not all of one: to send the lines again would double them
            self._warn("and its answer is not a response of OTLP")
            return
        if said is None:
            return
        reason = self._repeatable(said.reason)
        if not said.record_count:
            self._warn(f"and says{reason}" if reason else "")
            return
        text = f"it rejected {said.record_count} of {record_count} lines{reason}"
        raise DrainRefused(text, taken_lines=max(record_count - said.record_count, 0))

    def _warn(self, text: str) -> None:
        """Tell what there is to say of a receiver that took everything, until it changes."""
        if text not in {"", self._warning}:
            _log.warning("An OpenTelemetry receiver took all lines, %s", text)
        self._warning = text

    def _repeatable(self, reason: str) -> str:
        """Return what a receiver says, after a colon; nothing if it has a secret."""
        said = reason.strip()
        folded = said.casefold()
        if not said or any(secret in folded for secret in self._secrets):
            return ""
        return f": {said[:_REASON_LENGTH]}"
