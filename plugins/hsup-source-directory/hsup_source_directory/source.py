"""Give the releases that are put into a control directory."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsup.api import Fetched, Settings
from hsup.errors import ReleaseRejected, SourceError, UsageError
from hsup.model import Fault, Release
from hsup_source_directory import CONTROL_DIR
from hsup_source_directory.control_file import Parsed, parse
from hsup_source_directory.store import ControlDirectory
from hsup_source_directory.submission import BeingWrittenError, Identity, Submission, hold

#: How often in a row the author of `new` may replace it while it is accepted.
ATTEMPTS = 10

_UNFINISHED = "control file new is still being written: it is read when that is done"


def control_folder(settings: Settings) -> Path:
    """Return the control directory; raise UsageError where none is set."""
    name = settings.environ.get(CONTROL_DIR)
    if not name:
        raise UsageError(f"{CONTROL_DIR} is not set", hint=f"set {CONTROL_DIR} to a folder")
    return Path(settings.folder, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What became of `new`."""

    rejected: ReleaseRejected | None = None
    warnings: tuple[str, ...] = ()


class DirectorySource:
    """The control directory of one application.

    A rejection and a warning are told once, by the first answer after their
    cause.
    """

    def __init__(
        self,
        folder: Path,
        *,
        app: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._directory = ControlDirectory(folder, sleep=sleep)
        self._app = app
        self._sleep = sleep
        self._loaded: bytes | Fault | None = None
        self._release: Release | None = None
        # What was rejected, and could not be put aside: it is not told again.
        self._stuck: Identity | None = None

    def fetch(self) -> Fetched:
        """Accept or reject `new`, and return the release that is loaded.

        A problem with the folder raises SourceError, but the first time the
        loaded release matters more: it is returned with a warning.
        """
        self._directory.require()
        try:
            outcome = self._examine_new()
        except SourceError as error:
            if self._release is not None:
                raise
            fetched = self._answer(_Outcome(warnings=(str(error),)))
            if fetched.release is None:
                raise
            return fetched._replace(ask_again=True)
        return self._answer(outcome)

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield at the start, and whenever `new` may have changed."""
        from hsup.watch import folder_changes

        # A writer that had `new` open while it was taken and put back is
        # reported under the name that the file had in between.
        names = (self._directory.new.name, self._directory.taken.name)
        return folder_changes(self._directory.folder, names, while_open=True)

    def _answer(self, outcome: _Outcome) -> Fetched:
        warnings = self._load()
        return Fetched(
            release=self._release,
            rejected=outcome.rejected,
            warnings=(*warnings, *outcome.warnings),
            remedy=None if self._release else f"write one to {self._directory.new}",
        )

    def _load(self) -> tuple[str, ...]:
        """Read `loaded` if it has changed; return the warnings about it."""
        content = self._directory.read_loaded()
        # Where it was removed by hand, nothing else should run instead.
        if content is None or content == self._loaded:
            return ()
        parsed = self._parse(content)
        if parsed.release is None:
            problem = ReleaseRejected("cannot read control file loaded", parsed.errors)
            raise SourceError(
                str(problem), hint="put a good one there as new, or remove it"
            ) from problem
        self._loaded, self._release = content, parsed.release
        return tuple(f"control file loaded: {fault}" for fault in parsed.warnings)

    def _parse(self, content: bytes | Fault) -> Parsed:
        default_app = self._directory.folder.resolve().name
        return parse(content, app=self._app, default_app=default_app)

    def _examine_new(self) -> _Outcome:
        if not self._directory.has_work():
            return _Outcome()
        with self._directory.locked():
            self._directory.recover()
            for _ in range(ATTEMPTS):
                outcome = self._attempt()
                if outcome is not None:
                    return outcome
        raise SourceError("control file new is replaced faster than it can be read")

    def _attempt(self) -> _Outcome | None:
        """Deal with `new` as it is now; return None where it is another one by then."""
        new = self._directory.new
        try:
            with hold(new) as submission:
                return self._decide(submission)
        except FileNotFoundError:
            return _Outcome()
        except BeingWrittenError:
            # Its writer will close it, or rename it to here: a change of its own.
            return _Outcome(warnings=(_UNFINISHED,))
        except OSError as error:
            raise self._directory.failure("read new", error) from error

    def _decide(self, submission: Submission) -> _Outcome | None:
        parsed = self._parse(submission.content)
        if isinstance(submission.content, bytes) and parsed.release:
            accepted = self._directory.accept(submission, submission.content)
            return _Outcome() if accepted else None
        self._settle(submission)
        return self._reject(submission, parsed.errors)

    def _settle(self, submission: Submission) -> None:
        """Wait until a faulty file cannot be half a good one any more."""
        seconds = submission.unsettled_seconds(time.time())
        if seconds:
            self._sleep(seconds)
            if not submission.is_at(self._directory.new):
                raise BeingWrittenError

    def _reject(self, submission: Submission, errors: Sequence[Fault]) -> _Outcome | None:
        what = "cannot read control file new"
        is_known = submission.identity == self._stuck
        self._stuck = None
        warnings: tuple[str, ...] = ()
        try:
            text = "".join(f"{what}: {fault}\n" for fault in errors)
            if not self._directory.reject(submission, text):
                return None
        except SourceError as error:
            self._stuck, warnings = submission.identity, (str(error),)
        if is_known:
            return _Outcome()
        hint = f"all are in {self._directory.last_error}" if len(errors) > 1 else None
        return _Outcome(rejected=ReleaseRejected(what, errors, hint=hint), warnings=warnings)
