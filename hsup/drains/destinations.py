"""Keep a delivery for each destination that the user, or the release that runs, names."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from hsup.api import LogEvent, Settings
from hsup.drains import urls
from hsup.drains.delivery import Delivery, Kept, LineReader
from hsup.drains.pace import Pace
from hsup.errors import HsupError, UsageError
from hsup.log_drain import Destination, DrainURL, LogDrain
from hsup.model import Drain, Release
from hsup.output.backlog import Backlog

if TYPE_CHECKING:
    from hsup.drains.spool_directory import SpoolDirectory

#: The kind that serves `--logplex-url`, whatever the scheme is.
LOGPLEX = "logplex"

#: How long a drain may take to close its connections.
_CLOSING_SECONDS = 2.0


class Wanted(NamedTuple):
    """A destination that somebody names; `kind` is what its scheme, or an option, chooses.

    It is a release that `is_foreign`: what it names is not opened with the rights of hsup.
    """

    kind: str
    url: DrainURL
    token: str
    keeping: urls.Keeping
    is_foreign: bool = False


def wanted(text: str, *, kind: str | None = None, token: str | None = None) -> Wanted:
    """Return the destination that a URL describes. Raises UsageError without secrets.

    The whole query of Logplex's URL is the receiver's.
    """
    url = urls.read(text)
    if kind == LOGPLEX:
        return Wanted(kind, url, token or _token(text), urls.Keeping())
    try:
        keeping, rest = urls.keeping(url)
    except UsageError as error:
        error.put_before(f"drain {url}")
        raise
    return Wanted(kind or url.scheme, rest, token or _token(text), keeping)


def _token(text: str) -> str:
    """Return a token like those of the platform, always the same for a URL."""
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
    return f"d.{uuid.UUID(bytes=digest[:16], version=4)}"


class Undelivered(NamedTuple):
    """How many lines a destination has not got at the end, but for those that are kept."""

    name: str
    line_count: int
    kept: Kept = Kept()


class Destinations:
    """Delivers lines to the user's own destinations, and to those of the release that runs.

    `create` makes the drain of a kind, and raises HsupError. `say` gets lines of hsup's own.
    """

    def __init__(
        self,
        own: Iterable[Wanted],
        *,
        backlog: Backlog,
        settings: Settings,
        create: Callable[[str, Destination], LogDrain],
        say: Callable[[str, LogEvent], None],
    ) -> None:
        self._backlog = backlog
        self._settings = settings
        self._create = create
        self._say = say
        self._metadata: Mapping[str, str] = {}
        self._running: dict[Wanted, Delivery] = {}
        self._leaving: dict[Delivery, asyncio.Task[None]] = {}
        self._refused: set[Wanted] = set()
        self._unusable: dict[str, None] = {}  # what was said of the last release
        self._own = tuple(own)
        for one in self._own:
            self._begin(one)

    def follow(self, release: Release, *, grace_seconds: float) -> None:
        """Deliver to the destinations of a release from now on, and no longer to those before.

        What these have not got yet they get within `grace_seconds`.
        """
        self._metadata = release.variables
        unusable: list[str] = []
        named = (*self._own, *wanted_by(release, self._settings, unusable.append))
        for text in unusable:
            if text not in self._unusable:
                self._warn(text)
        self._unusable = dict.fromkeys(unusable)
        for one in [one for one in self._running if one not in named]:
            delivery = self._running.pop(one)
            self._leaving[delivery] = asyncio.create_task(self._leave(delivery, grace_seconds))
        self._refused.intersection_update(named)
        for one in named:
            if one not in self._running and one not in self._refused:
                self._try(one)

    async def finish(self, grace_seconds: float) -> Sequence[Undelivered]:
        """Deliver what is left within that time, and end; return what could not be delivered."""
        finishing = [asyncio.create_task(one.finish()) for one in self._running.values()]
        everything = {*finishing, *self._leaving.values()}
        try:
            if everything and grace_seconds > 0:
                await asyncio.wait(everything, timeout=grace_seconds)
        finally:
            await _cancelled(everything)
        deliveries = (*self._running.values(), *self._leaving)
        rest = await asyncio.gather(*map(_ended, deliveries))
        return [one for one in rest if one.line_count or one.kept.line_count]

    def undelivered(self) -> Sequence[Undelivered]:
        """Return how many lines are not delivered now; for a signal handler."""
        deliveries = (*self._running.values(), *self._leaving)
        counted = (Undelivered(one.name, one.undelivered, one.kept) for one in deliveries)
        return [one for one in counted if one.line_count or one.kept.line_count]

    def _begin(self, one: Wanted) -> None:
        destination = Destination(one.url, one.token, self._settings, lambda: self._metadata)
        directory = None if one.keeping.spool is None else self._spool(one, one.keeping.spool)
        try:
            drain = self._create(one.kind, destination)
        except HsupError:
            if directory is not None:
                directory.close()
            raise
        name, pace = self._name(one), Pace()
        reader = self._reader(one, directory, name, pace, only_dynos=drain.limits.only_dynos)
        self._running[one] = Delivery(drain, reader, name=name, say=self._say, pace=pace)

    def _reader(
        self,
        one: Wanted,
        directory: SpoolDirectory | None,
        name: str,
        pace: Pace,
        *,
        only_dynos: bool,
    ) -> LineReader:
        most_bytes = one.keeping.buffer_bytes
        if directory is not None:
            from hsup.drains.spooling import SpoolReader  # only where there are spools

            memory = self._backlog.reader(most_bytes, only_dynos=only_dynos)
            return SpoolReader(memory, directory, name=name, say=self._say)
        return self._backlog.reader(most_bytes, pace, only_dynos=only_dynos)

    def _spool(self, one: Wanted, base: str) -> SpoolDirectory:
        """Open the spool of a destination. Raises UsageError."""
        from hsup.drains.spool_directory import SpoolDirectory  # only where there are spools

        settings = self._settings
        control = settings.environ.get("HSUP_CONTROL_DIR")
        application = (settings.app, settings.directory, settings.procfile, control)
        identity = json.dumps([one.kind, *one.url, *application])
        try:
            return SpoolDirectory(
                base, identity, host=one.url.host, most_bytes=one.keeping.spool_bytes
            )
        except UsageError as error:
            error.put_before(f"drain {one.url}")
            raise

    def _try(self, one: Wanted) -> None:
        """Begin to deliver to a destination of a release; say why if that cannot be."""
        try:
            require_safe(one)
            self._begin(one)
        except HsupError as error:
            self._refused.add(one)
            self._warn(f"the release's {error}")

    def _warn(self, text: str) -> None:
        self._say(f"Warning: {text}", LogEvent("warning"))

    def _name(self, one: Wanted) -> str:
        """Return what messages call a destination; several of one host are numbered."""
        name = f"drain {one.url}"
        same = sum(
            other.url.scheme == one.url.scheme and str(other.url) == str(one.url)
            for other in self._running
        )
        return f"{name} ({same + 1})" if same else name

    async def _leave(self, delivery: Delivery, grace_seconds: float) -> None:
        """End a delivery, and say what was not delivered; if cancelled, leave that to `finish`."""
        try:
            async with asyncio.timeout(grace_seconds):
                await delivery.finish()
        except TimeoutError:
            pass
        ended = await _ended(delivery)
        del self._leaving[delivery]
        if ended.line_count:
            text = f"Warning: {ended.name} was left with {ended.line_count} lines not delivered"
            self._say(text, LogEvent("warning"))
        if ended.kept.line_count:
            self._say(f"{ended.name}: {kept_text(ended.kept)}", LogEvent("notice"))


def kept_text(kept: Kept) -> str:
    """Return what is said of lines that stay for the next start."""
    lines = "1 line is" if kept.line_count == 1 else f"{kept.line_count} lines are"
    return f"{lines} kept in {kept.directory} for the next start"


def wanted_by(
    release: Release, settings: Settings, warn: Callable[[str], None]
) -> Iterator[Wanted]:
    """Yield the destinations that a release names; warn of what is wrong with others."""
    named: list[tuple[Drain, str | None]] = [(one, None) for one in release.drains]
    if release.logplex_url and settings.logplex_url is None:
        named.append((Drain(release.logplex_url), LOGPLEX))
    author = release.author
    is_foreign = author is None or not author.is_trusted
    for drain, kind in named:
        try:
            one = wanted(drain.url, kind=kind, token=drain.token)
            yield one._replace(is_foreign=is_foreign)
        except HsupError as error:
            warn(f"a drain of the release is not used: {error}")


def require_safe(one: Wanted) -> None:
    """Raise UsageError for a drain with which a release would use hsup's right to open files."""
    if not one.is_foreign:
        return
    url = one.url
    if url.is_of_this_machine or not url.host:
        text = f"drain {url} is of this machine, which only its user may name"
        raise UsageError(text, hint="name it with --drain")
    for name in _names_of_files(one):
        text = f'drain {url} has the parameter "{name}", which only the user may give'
        raise UsageError(text, hint="name the drain with --drain")


def _names_of_files(one: Wanted) -> Iterator[str]:
    """Yield the parameters of a destination with which it would open files."""
    if one.kind == LOGPLEX:  # they are the receiver's
        return
    if one.keeping.spool is not None:
        yield urls.SPOOL
    names = [name for name, _ in one.url.parameters]
    is_key_of_receiver = one.kind in urls.OF_HTTP and "cert" not in names
    for name in names:
        if name in urls.OF_FILES and not (name == "key" and is_key_of_receiver):
            yield name


async def _cancelled(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks, and return when they have ended."""
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _ended(delivery: Delivery) -> Undelivered:
    """End a delivery; return what was not delivered."""
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            undelivered = await delivery.close()
    except TimeoutError:
        undelivered = delivery.undelivered
    return Undelivered(delivery.name, undelivered, delivery.kept)
