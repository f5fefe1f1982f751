"""Wrap the log drains of plugins, so that whatever they raise becomes a DrainError.

Each block is a call: this guard is lighter than the others of `hsup.plugins.guards`, and keeps
secrets of the destination's URL out of messages.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus, unquote

from hsup.errors import DrainError, DrainRefused, DrainUnreachable, HsupError, UsageError
from hsup.log_drain import Destination, DrainLimits, DrainURL, LogBlock, LogDrain, LogDrainFactory
from hsup.plugins.calls import Call, Calls, Escaped, PluginPart, Steps, is_cancelled
from hsup.plugins.contracts import has

#: Shorter parts of a URL are no secrets, and are found in any text.
_LEAST_SECRET = 3

#: Parameters whose values are files, which messages name. `key` is one beside `cert` only: else it
#: may be what a service knows its customers by.
_FILES = frozenset({"ca", "cert", "socket", "spool"})
#: A part of a query without a value that looks like this is the name of a parameter; another one
#: may be a token.
_PLAIN_NAME = re.compile(r"[a-z_]{1,12}")

_is_drain = has("deliver", "close", what="a log drain", may_have=("limits",))


class GuardedDrain:
    """A log drain of a plugin."""

    def __init__(self, calls: Calls, part: PluginPart, drain: LogDrain, url: DrainURL) -> None:
        self._calls = calls
        self._part = part
        self._drain = drain
        self._url = url
        self.limits: DrainLimits = drain.limits

    async def deliver(self, block: LogBlock) -> None:
        """Deliver a block. Raises DrainError."""
        call = Call(self._part, "deliver lines")
        try:
            await Steps(self._calls, call, self._drain.deliver(block))
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or is_cancelled(error):
                raise
            raise self._failed(call, error) from None  # its cause may have the URL

    async def close(self) -> None:
        """Release everything; log what goes wrong."""
        call = Call(self._part, "close")
        try:
            await Steps(self._calls, call, self._drain.close())
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or is_cancelled(error):
                raise
            self._calls.warn(str(self._failed(call, error)))

    def _failed(self, call: Call, error: BaseException) -> DrainError:
        """Return a DrainError, whatever was raised, whose values are right and tell no secret."""
        if isinstance(error, Escaped):
            error = error.error
        if not isinstance(error, HsupError):
            text = f"{call.part} failed to {call.what}: {type(error).__name__}: {_text(error)}"
            failed = DrainError(without_secrets(text, self._url))
            failed.is_mistake = True
            return failed
        text = without_secrets(_text(error), self._url)
        if not isinstance(error, DrainError):
            return DrainError(text)
        kinds = (kind for kind in (DrainRefused, DrainUnreachable) if isinstance(error, kind))
        taken, seconds = error.taken_lines, error.retry_seconds
        return next(kinds, DrainError)(
            text,
            code=error.code if isinstance(error.code, str) else None,
            taken_lines=taken if isinstance(taken, int) and taken > 0 else 0,
            retry_seconds=seconds if isinstance(seconds, int | float) and seconds > 0 else None,
        )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a plugin's exception may do anything
        return "it does not say why"


def create_drain(
    calls: Calls, part: PluginPart, factory: LogDrainFactory, destination: Destination
) -> GuardedDrain:
    """Create a log drain. Raises UsageError for a URL that makes no sense, and other HsupErrors."""
    url = destination.url
    try:
        drain: LogDrain = calls.run(
            part,
            "be created",
            lambda: factory(destination),
            failure=DrainError,
            check=_is_drain,
        )
    except HsupError as error:
        kind = UsageError if isinstance(error, UsageError) else DrainError
        text = f"drain {url}: {without_secrets(error.args[0], url)}"
        hint = error.hint and without_secrets(error.hint, url)
        raise kind(text, hint=hint) from None
    guarded = GuardedDrain(calls, part, drain, url)
    if wrong := _wrong_limits(guarded.limits):
        raise DrainError(f"drain {url}: {part} has limits whose {wrong}")
    return guarded


def _wrong_limits(limits: object) -> str | None:
    """Return what is wrong with the limits of a drain, None if nothing is."""
    if not isinstance(limits, DrainLimits):
        return "type is not DrainLimits"
    for name in ("lines", "bytes", "lanes"):
        if not isinstance(getattr(limits, name), int) or getattr(limits, name) < 1:
            return f"{name} are not 1 or more"
    if limits.tries is not None and limits.tries < 1:
        return "tries are neither None nor 1 or more"
    return None


def without_secrets(text: str, url: DrainURL) -> str:
    """Return a text in which what may be a secret of a URL is replaced by dots."""
    values = (url.user, url.password, url.query, *_values(url))
    parts = {one for one in values if one and len(one) >= _LEAST_SECRET}
    if not url.is_of_this_machine and len(url.path) > _LEAST_SECRET:
        parts.add(url.path)
    written = {form for part in parts for form in (part, quote(part, safe=""), quote_plus(part))}
    written |= {unquote(part) for part in parts}
    if url.password is not None:
        written.add(b64encode(f"{url.user or ''}:{url.password}".encode()).decode())
    for part in sorted(written, key=len, reverse=True):
        text = text.replace(part, "...")
    return text


def _values(url: DrainURL) -> Iterator[str]:
    """Yield the values of the query, decoded and as they were written, but for names of files."""
    files = _FILES | ({"key"} if "cert" in dict(url.parameters) else set())
    for name, value in url.parameters:
        if name not in files:
            yield value
            if not value and not _PLAIN_NAME.fullmatch(name):
                yield name
    for part in url.query.split("&"):
        name, _, written = part.partition("=")
        if name not in files:
            yield written
