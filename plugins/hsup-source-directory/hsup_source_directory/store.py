"""Change the files of a control directory so that a crash loses none.

Accepting a release takes these steps, each of them durable before the next:

    .loaded.tmp ──▶ loaded, then remove rejected and last_error, then remove new

and rejecting one takes these:

    .last_error.tmp ──▶ last_error, then new ──▶ rejected

`new` is removed in two steps, because its author may replace it at any time: it
is renamed to `.new.taken`, and removed only if it still is the file that was
read; if not, it is put back. A crash at any point leaves the release in `new`, in
`.new.taken` or in `loaded`, and the steps can be repeated.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hsup.errors import SourceError
from hsup.model import Author, Fault
from hsup_source_directory.directory import Directory, advice, opened, temporary
from hsup_source_directory.reading import MAX_BYTES
from hsup_source_directory.submission import Submission

NEW, TAKEN, LOADED = "new", ".new.taken", "loaded"
RUNNING, REJECTED, LAST_ERROR = ".running", "rejected", "last_error"
_TEMPORARIES = tuple(map(temporary, (LOADED, RUNNING, REJECTED, LAST_ERROR)))

#: hsup writes all keys of a process type to it, of which other control files may leave some out.
_MOST_RUNNING_BYTES = 2 * MAX_BYTES

#: Another hsup holds the lock while it writes a few small files.
LOCK_TRIES = 50
LOCK_RETRY_SECONDS = 0.1

#: Control files contain config vars, which are secrets; `last_error` does not.
_PRIVATE, _PUBLIC = 0o600, 0o644


class ControlDirectory:
    """The directory that releases are put into, and where hsup keeps those that it runs."""

    def __init__(
        self, directory: Directory, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.directory = directory
        self._sleep = sleep

    def has_work(self) -> bool:
        """Tell whether there is a file to accept, or a leftover of a crash."""
        return any(map(self.directory.exists, (NEW, TAKEN, *_TEMPORARIES)))

    @property
    def is_read_only(self) -> bool:
        """Tell whether the file system of the directory is read-only."""
        return bool(os.fstatvfs(self.directory.descriptor).f_flag & os.ST_RDONLY)

    def lock(self) -> None:
        """Lock the directory against changes by another hsup until it is closed.

        Raises SourceError if another process keeps it locked. Unlike `hsup.locks`, this locks
        the open directory, wherever its path leads by now.
        """
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(self.directory.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._sleep(LOCK_RETRY_SECONDS)
            except OSError:
                return  # NFS locks only files that are open for writing (man 2 flock)
            else:
                return
        path = self.directory.path
        text = f"control directory {path} is locked by another process"
        raise SourceError(text, hint=f"run fuser {shlex.quote(str(path))} to find it")

    def failure(self, what: str, error: OSError) -> SourceError:
        """Return the error for an action that failed."""
        text = f"cannot {what} in control directory {self.directory.path}: {error.strerror}"
        return SourceError(text, hint=advice(error))

    def recover(self) -> None:
        """Undo steps that a crash has interrupted. Raises SourceError."""
        with self._doing("remove the leftovers of a crash"):
            # Only existing ones: a read-only file system refuses to remove even a missing file.
            for name in filter(self.directory.exists, _TEMPORARIES):
                self.directory.unlink(name)
            if self.directory.exists(TAKEN):
                self._put_back()

    def read(self, name: str) -> tuple[bytes | Fault, Author] | None:
        """Return content and author of a file, None if there is none. Raises SourceError."""
        with self._doing(f'read "{name}"'):
            try:
                most_bytes = _MOST_RUNNING_BYTES if name == RUNNING else MAX_BYTES
                content, status = self.directory.read(name, most_bytes)
            except FileNotFoundError:
                return None
            return content, self.directory.author(status)

    def keep(self, content: bytes, author: Author | None) -> None:
        """Keep the release that runs. Raises SourceError."""
        with self._doing('write ".running"'):
            self.directory.write(RUNNING, content, _PRIVATE, author)

    def accept(self, submission: Submission, content: bytes) -> bool:
        """Make `new` the loaded release.

        Returns False if `new` was replaced meanwhile. Raises SourceError, and then leaves
        `new` as it is.
        """
        with self._doing('write "loaded"'):
            self.directory.write(LOADED, content, _PRIVATE, submission.author)
        for name in (REJECTED, LAST_ERROR):
            # They only inform, and must not keep a valid release from running.
            with suppress(OSError):
                self.directory.unlink(name)
        with self._doing('remove "new"'):
            if not self._take(submission):
                return False
            self.directory.unlink(TAKEN)
            self.directory.sync()
        return True

    def reject(self, submission: Submission, text: str) -> bool:
        """Rename `new` to `rejected`, and write a text for its author to `last_error`.

        Returns False if `new` was replaced meanwhile. Raises SourceError, and then leaves
        `new` as it is.
        """
        with self._doing('write "last_error"'):
            self.directory.write(LAST_ERROR, text.encode(errors="backslashreplace"), _PUBLIC)
        with self._doing('rename "new" to "rejected"'):
            if submission.descriptor is None:
                self.directory.rename(NEW, REJECTED)
            elif self._take(submission):
                self._keep_rejected(submission, submission.descriptor)
            else:
                return False
            self.directory.sync()
        return True

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.failure(what, error) from error

    def _take(self, submission: Submission) -> bool:
        """Rename `new` to `.new.taken` if it still is the file that was read."""
        try:
            self.directory.rename(NEW, TAKEN)
            if submission.is_at(self.directory, TAKEN):
                return True
        except FileNotFoundError:
            return False
        self._put_back()
        return False

    def _keep_rejected(self, submission: Submission, descriptor: int) -> None:
        """Keep `.new.taken` as `rejected`, for its author alone."""
        has_links = os.fstat(descriptor).st_nlink > 1
        try:
            if has_links:  # the mode is theirs, too
                content = os.pread(descriptor, MAX_BYTES, 0)
                self.directory.write(REJECTED, content, _PRIVATE, submission.author)
                self.directory.unlink(TAKEN)
            else:
                self.directory.rename(TAKEN, REJECTED)
        except OSError:
            self._put_back()
            raise
        if not has_links:
            with suppress(OSError):  # it belongs to another user
                os.fchmod(descriptor, _PRIVATE)

    def _put_back(self) -> None:
        """Rename `.new.taken` back to `new`, unless there is a newer one."""
        try:
            self.directory.link(TAKEN, NEW)
        except FileExistsError:
            pass
        except OSError:
            # This file system has no hard links, or another user's file cannot be linked to
            # (fs.protected_hardlinks, man 5 proc).
            if not self.directory.exists(NEW):
                self.directory.rename(TAKEN, NEW)
        with suppress(FileNotFoundError):
            self.directory.unlink(TAKEN)


@contextmanager
def opened_directory(
    path: Path, sleep: Callable[[float], None] = time.sleep
) -> Iterator[ControlDirectory]:
    """Open a control directory for the body of the `with`. Raises SourceError."""
    with opened(path) as directory:
        yield ControlDirectory(directory, sleep=sleep)
