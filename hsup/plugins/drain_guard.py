"""Wrap the log drains of plugins, so that whatever they raise becomes a DrainError.

Each block is a call: this guard is lighter than the others of `hsup.plugins.guards`, and keeps
secrets of the destination's URL out of messages.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

from hsup.errors import DrainError, HsupError, UsageError
from hsup.log_drain import Destination, DrainLimits, DrainURL, LogBlock, LogDrain, LogDrainFactory
from hsup.plugins.calls import Call, Calls, Escaped, PluginPart, Steps
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
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - each is one of the plugin
            raise self._failed(call, error) from None  # its cause may have the URL

    async def close(self) -> None:
        """Release everything; log what goes wrong."""
        call = Call(self._part, "close")
        try:
            await Steps(self._calls, call, self._drain.close())
        except (asyncio.CancelledError, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - each is one of the plugin
            self._calls.warn(str(self._failed(call, error)))

    def _failed(self, call: Call, error: BaseException) -> DrainError:
        if isinstance(error, Escaped):
            error = error.error
        if not isinstance(error, HsupError):
            text = f"{call.part} failed to {call.what}: {type(error).__name__}: {error}"
            failed = DrainError(without_secrets(text, self._url))
            failed.is_mistake = True
            return failed
        if not isinstance(error, DrainError):
            error = DrainError(str(error))
        error.args = (without_secrets(error.args[0], self._url),)
        return error


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
    return GuardedDrain(calls, part, drain, url)


def without_secrets(text: str, url: DrainURL) -> str:
    """Return a text in which what may be a secret of a URL is replaced by dots."""
    values = (url.user, url.password, url.query, *_values(url))
    parts = {one for one in values if one and len(one) >= _LEAST_SECRET}
    if not url.is_of_this_machine and len(url.path) > _LEAST_SECRET:
        parts.add(url.path)
    for part in sorted(parts, key=len, reverse=True):
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
