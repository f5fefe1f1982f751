"""The source of the releases that are put into a control directory."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsup.api import Fetched, Settings
from hsup.errors import InvalidRelease, SourceError, UsageError
from hsup.model import Author, Fault, Release
from hsup.validation import line_problem
from hsup_source_directory import CONTROL_DIR
from hsup_source_directory.control_file import Parsed, parse
from hsup_source_directory.running import (
    DigestOf,
    control_file,
    no_digest,
    unpinned,
    unpinned_like,
)
from hsup_source_directory.store import (
    LAST_ERROR,
    LOADED,
    NEW,
    RUNNING,
    TAKEN,
    ControlDirectory,
    opened_directory,
)
from hsup_source_directory.submission import BeingWrittenError, Identity, Submission, hold

logger = logging.getLogger(__name__)

#: How often in a row `new` may be replaced while it is accepted.
ATTEMPTS = 10

_CANNOT_READ = 'cannot read control file "new"'
_UNFINISHED = 'control file "new" is incomplete and open for writing; hsup waits until it is closed'


def control_directory(settings: Settings) -> Path:
    """Return the control directory. Raises UsageError if none is set."""
    name = settings.environ.get(CONTROL_DIR)
    if not name:
        raise UsageError(f"{CONTROL_DIR} is not set", hint=f"set {CONTROL_DIR} to a directory")
    return Path(settings.directory, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The result of an attempt to accept `new`."""

    rejected: InvalidRelease | None = None
    warnings: tuple[str, ...] = ()
    ask_again: bool = False


class DirectorySource:
    """The source for the control directory of one application.

    A rejection or a warning is in the first answer after its cause, and in no later one.
    """

    def __init__(
        self,
        directory: Path,
        *,
        app: str | None = None,
        digest_of: DigestOf = no_digest,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = directory
        self._app = app
        self._digest_of = digest_of
        self._sleep = sleep
        self._loaded: tuple[bytes | Fault, Author] | None = None
        self._release: Release | None = None
        self._kept: Release | None = None
        # A file that was rejected, and could not be put aside: it is not reported again.
        self._stuck: Identity | None = None
        # Device and inode of a file that was reported as incomplete.
        self._unfinished: tuple[int, ...] | None = None
        # Device and inode of a rejected directory or such, which was reported and not moved.
        self._left: tuple[int, ...] | None = None
        # The directory of the newest release, and whether an earlier one came from another.
        self._home: tuple[int, int] | None = None
        self._has_moved = False

    def fetch(self) -> Fetched:
        """Accept or reject `new`, and return the release in `loaded`.

        Raises SourceError for a problem with the directory; the first time, returns the
        release in `loaded` with a warning instead.
        """
        with opened_directory(self._directory, self._sleep) as directory:
            try:
                outcome = self._examine_new(directory)
            except SourceError as error:
                if self._release is not None:
                    raise
                fetched = self._answer(directory, _Outcome(warnings=(str(error),)))
                if fetched.release is None:
                    raise
                return fetched._replace(ask_again=True)
            return self._answer(directory, outcome)

    def keep(self, release: Release) -> None:
        """Keep the release that runs, with the checksum of its archive, in `.running`.

        Raises SourceError, also if the path leads to another directory by now: a user who can
        redirect it must not choose where hsup writes.
        """
        if release == self._kept:
            return
        with opened_directory(self._directory, self._sleep) as directory:
            self._require_home(directory, release)
            if directory.is_read_only:
                return  # nobody can put a release there, either
            directory.lock()
            directory.keep(control_file(release), release.author)
        self._kept, self._has_moved = release, False

    def kept(self) -> Release | None:
        """Return the release that ran last. Raises SourceError."""
        with opened_directory(self._directory, self._sleep) as directory:
            stored = directory.read(RUNNING)
            if stored is None or directory.read(LOADED) is None:
                return None  # removed by hand, so that no release should run
            self._home = self._home or directory.directory.identity
        parsed = self._parse(*stored)
        if parsed.release is None:
            logger.warning('ignoring control file ".running": %s', parsed.errors[0])
            return None
        self._kept = parsed.release
        newest = self._release
        return unpinned_like(self._kept, newest, self._digest_of) if newest else self._kept

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield at the start, and whenever `new` may have changed."""
        from hsup.watch import directory_changes

        # A writer that opened `new` before it was taken and put back is
        # reported under the name that the file had in between.
        return directory_changes(self._directory, (NEW, TAKEN), while_open=True)

    def _answer(self, directory: ControlDirectory, outcome: _Outcome) -> Fetched:
        warnings = self._load(directory)
        return Fetched(
            release=self._release,
            rejected=outcome.rejected,
            warnings=(*warnings, *outcome.warnings),
            ask_again=outcome.ask_again,
            remedy=None if self._release else f"write a release to {self._directory / NEW}",
        )

    def _load(self, directory: ControlDirectory) -> tuple[str, ...]:
        """Read `loaded` if it has changed; return the warnings about it."""
        loaded = directory.read(LOADED)
        if loaded is None:  # removed by hand: no other release should run instead
            return ()
        if loaded == self._loaded:
            self._settle_in(directory)
            return ()
        parsed = self._parse(*loaded)
        if parsed.release is None:
            problem = InvalidRelease('cannot read control file "loaded"', parsed.errors)
            hint = 'write a valid one named "new" there, or remove "loaded"'
            raise SourceError(str(problem), hint=hint) from problem
        self._loaded, self._release = loaded, parsed.release
        self._settle_in(directory)
        return tuple(f'control file "loaded": {fault}' for fault in parsed.warnings)

    def _settle_in(self, directory: ControlDirectory) -> None:
        """Remember the directory of the newest release."""
        earlier, self._home = self._home, directory.directory.identity
        self._has_moved |= earlier not in {None, self._home}

    def _is_elsewhere(self, directory: ControlDirectory) -> bool:
        """Tell whether this is another directory than that of the newest release."""
        return self._home not in {None, directory.directory.identity}

    def _require_home(self, directory: ControlDirectory, release: Release) -> None:
        """Raise SourceError unless this is the directory that a release came from."""
        newest = self._release and unpinned(self._release)
        is_older = self._has_moved and unpinned(release) != newest
        if is_older or self._is_elsewhere(directory):
            text = (
                f"cannot save {release}: {self._directory} has been replaced by another directory "
                f"since v{release.version} was read"
            )
            raise SourceError(text, hint=f"write a release to {self._directory / NEW}")

    def _parse(self, content: bytes | Fault, author: Author) -> Parsed:
        name = self._directory.resolve().name
        default_app = name if name and line_problem(name) is None else "app"
        return parse(content, app=self._app, default_app=default_app, author=author)

    def _examine_new(self, directory: ControlDirectory) -> _Outcome:
        if not directory.has_work():
            return _Outcome()
        directory.lock()
        directory.recover()
        for _ in range(ATTEMPTS):
            outcome = self._attempt(directory)
            if outcome is not None:
                return outcome
        text = 'control file "new" is replaced faster than it can be read'
        raise SourceError(text, hint="write it less often")

    def _attempt(self, directory: ControlDirectory) -> _Outcome | None:
        """Accept or reject `new`; return None if it was replaced meanwhile."""
        try:
            with hold(directory.directory, NEW) as submission:
                return self._decide(directory, submission)
        except FileNotFoundError:
            return _Outcome()
        except BeingWrittenError:
            return self._wait(directory)
        except OSError as error:
            raise directory.failure('read "new"', error) from error

    def _decide(self, directory: ControlDirectory, submission: Submission) -> _Outcome | None:
        """Accept a valid file, even while it is open for writing; half a file is faulty."""
        parsed = self._parse(submission.content, submission.author)
        if isinstance(submission.content, bytes) and parsed.release:
            accepted = directory.accept(submission, submission.content)
            return _Outcome() if accepted else None
        self._settle(directory, submission)
        is_no_file = submission.descriptor is None
        if is_no_file and (submission.is_strangers or self._is_elsewhere(directory)):
            return self._leave(submission, parsed.errors)
        return self._reject(directory, submission, parsed.errors)

    def _settle(self, directory: ControlDirectory, submission: Submission) -> None:
        """Wait until a faulty file can no longer be an incomplete one."""
        if submission.has_writer:
            raise BeingWrittenError
        seconds = submission.unsettled_seconds(time.time())
        if seconds:
            self._sleep(seconds)
            if not submission.is_at(directory.directory, NEW):
                raise BeingWrittenError

    def _wait(self, directory: ControlDirectory) -> _Outcome:
        """Leave `new` alone until its writer changes or closes it; warn once."""
        try:
            status = directory.directory.stat(NEW)
        except FileNotFoundError:
            return _Outcome()
        known, self._unfinished = self._unfinished, (status.st_dev, status.st_ino)
        return _Outcome(warnings=(_UNFINISHED,) if known != self._unfinished else ())

    def _leave(self, submission: Submission, errors: Sequence[Fault]) -> _Outcome:
        """Reject it once and leave it in place: it may be a Maildir's `new`."""
        known, self._left = self._left, submission.identity[:2]
        if known == self._left:
            return _Outcome()
        hint = f"rename {self._directory / NEW}, which hsup leaves alone"
        return _Outcome(rejected=InvalidRelease(_CANNOT_READ, errors, hint=hint))

    def _reject(
        self, directory: ControlDirectory, submission: Submission, errors: Sequence[Fault]
    ) -> _Outcome | None:
        is_known = submission.identity == self._stuck
        self._stuck = None
        warnings: tuple[str, ...] = ()
        try:
            text = "".join(f"{_CANNOT_READ}: {fault}\n" for fault in errors)
            if not directory.reject(submission, text):
                return None
        except SourceError as error:  # on a full disk, for example, which may have space later
            self._stuck, warnings = submission.identity, (str(error),)
        ask_again = self._stuck is not None
        if is_known:
            return _Outcome(ask_again=ask_again)
        hint = f"read all faults in {self._directory / LAST_ERROR}" if len(errors) > 1 else None
        rejected = InvalidRelease(_CANNOT_READ, errors, hint=hint)
        return _Outcome(rejected=rejected, warnings=warnings, ask_again=ask_again)
