"""The contract of log drains: destinations of log lines outside of hsup.

A plugin registers a factory for each scheme of a URL (see
`hsup.hookspecs.hsup_register_log_drains`). What it returns delivers blocks of lines, and nothing
else: hsup keeps what waits, tries again, counts what is lost and says so, for each destination on
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from hsup.api import LogBatch, Settings
from hsup.errors import UsageError
from hsup.model import NO_VARIABLES

#: The schemes whose path is of this machine, and no secret.
_OF_THIS_MACHINE = frozenset({"file", "journal"})


class DrainURL(NamedTuple):
    """Where a destination is. Neither `str` nor `repr` shows anything that may be a secret.

    `path` and `query` are as they were written, percent-encoded; `user` and `password` are decoded,
    and so are `parameters`, the pairs of the query in their order. A part of the query without a
    `=` is a name with an empty value. What passes the query on to a receiver uses `query`, as
    receivers may tell `a=b%20c` from `a=b+c`, or `a` from `a=`.
    """

    scheme: str
    host: str = ""
    port: int | None = None
    path: str = ""
    user: str | None = None
    password: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    query: str = ""

    @property
    def is_of_this_machine(self) -> bool:
        """Tell whether the path is one of this machine, and no secret."""
        return self.scheme in _OF_THIS_MACHINE

    def take(self, *names: str) -> tuple[dict[str, str], DrainURL]:
        """Return the values of parameters by their names, and this URL without them.

        Raises UsageError for one that is given twice.
        """
        taken: dict[str, str] = {}
        for name, value in self.parameters:
            if name in taken:
                raise UsageError(f'parameter "{name}" is given twice')
            if name in names:
                taken[name] = value
        rest = tuple(pair for pair in self.parameters if pair[0] not in names)
        parts = self.query.split("&")
        query = "&".join(part for part in parts if parameter(part)[0] not in names)
        return taken, self._replace(parameters=rest, query=query)

    def require_nothing_else(self, *known: str) -> None:
        """Raise UsageError for a parameter that is left; `known` are those that there are."""
        for name, _ in self.parameters:
            hint = f"use {', '.join(sorted(known))}" if known else "leave it out"
            text = f'a drain of scheme "{self.scheme}" has no parameter "{name}"'
            raise UsageError(text, hint=hint)

    @property
    def authority(self) -> str:
        """Return the host, and the port if there is one, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.is_of_this_machine:
            return f"{self.scheme}:{self.path}"
        return f"{self.scheme}://{self.authority}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"


def parameter(part: str) -> tuple[str, str]:
    """Return the name and the value, decoded, that a part of a query is."""
    from urllib.parse import unquote_plus  # takes long, and only drains need it

    name, _, value = part.partition("=")
    return unquote_plus(name), unquote_plus(value)


class Destination(NamedTuple):
    """What a factory of a log drain gets; `repr` shows the token no more than the URL's secrets.

    `token` is `d.` and a UUID: what the platform calls the drain's token. It stays the same when
    hsup starts again. `metadata` returns the platform variables of the release that runs: none
    before there is one, then HEROKU_APP_NAME and HEROKU_RELEASE_VERSION, and those that its source
    knows, for example HEROKU_APP_ID.
    """

    url: DrainURL
    token: str
    settings: Settings
    metadata: Callable[[], Mapping[str, str]] = lambda: NO_VARIABLES

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


class LogBlock(NamedTuple):
    """Lines that are delivered together, in order.

    `id` has 32 hexadecimal digits, and is the same each time the block is tried. The last line
    of a batch may lack its newline, as in `hsup.api.LogBatch`. `line_count` counts lines of
    dynos and of hsup, but not what hsup says of lines that this destination has lost: such a
    batch comes first, and its event has the platform's code: L10, L12 or L13.
    """

    id: str
    batches: Sequence[LogBatch]
    line_count: int


class DrainLimits(NamedTuple):
    """How hsup is to divide lines into blocks, and to deliver these.

    A block has at most `lines` and `bytes`, without what a format adds, and is delivered
    `wait_seconds` after its first line at the latest. Up to `lanes` blocks are delivered at
    once; lines of one dyno are never in two of them. A block is given up when it has failed
    `tries` times; None is for never. `overflow_code` is the platform's code of the message that
    tells how many lines were dropped because the buffer was full: L10 or L12. With `only_dynos`,
    what hsup itself says is neither delivered nor counted, but for what it says of losses.
    """

    lines: int = 1024
    bytes: int = 1 << 16
    wait_seconds: float = 0.25
    lanes: int = 1
    tries: int | None = 3
    overflow_code: str = "L10"
    only_dynos: bool = False


class LogDrain(Protocol):
    """Delivers lines to one destination."""

    @property
    def limits(self) -> DrainLimits:
        """Return how lines are divided into blocks; asked once."""

    async def deliver(self, block: LogBlock) -> None:
        """Return when the destination has a block.

        May be called again before the last call has returned, if there are several lanes.
        Raises DrainUnreachable if nothing could be sent: hsup tries again until it can, and the
        buffer fills meanwhile. Raises DrainRefused if the destination will never take this
        block, and another DrainError if it may take it later. Must not wait for ever. May be
        cancelled.
        """

    async def close(self) -> None:
        """Release everything; called once, last, whether or not anything was delivered."""


LogDrainFactory = Callable[[Destination], LogDrain]
