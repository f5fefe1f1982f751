"""Keep the files of a control directory through crashes.

An accepted release takes these steps, each of them durable before the next:

    .loaded.tmp ──▶ loaded, then rejected and last_error go, then new goes

and a faulty one these:

    .last_error.tmp ──▶ last_error, then new ──▶ rejected

`new` goes in two steps, because its author may put another one there at any
time: it is renamed to `.new.taken`, and deleted only if it is still the file
that was read; if not, it is put back. A crash at any point leaves the release
in `new`, in `.new.taken` or in `loaded`; doing the steps again does no harm.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hsup.errors import SourceError
from hsup.model import Fault
from hsup_source_directory import CONTROL_DIR
from hsup_source_directory.reading import read_control_file
from hsup_source_directory.submission import Submission

#: Another hsup holds the folder for as long as it writes some small files.
LOCK_TRIES = 50
LOCK_RETRY_SECONDS = 0.1

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_HINTS = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space, or raise the quota",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "allow hsup's user to read and write there",
    errno.EPERM: "allow hsup's user to read and write there",
}


class ControlDirectory:
    """The folder that releases are put into, and where hsup keeps the one it runs."""

    def __init__(self, folder: Path, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.folder = folder
        self.new = folder / "new"
        self.loaded = folder / "loaded"
        self.rejected = folder / "rejected"
        self.last_error = folder / "last_error"
        self.taken = folder / ".new.taken"
        self._sleep = sleep

    def require(self) -> None:
        """Raise SourceError unless the folder is there and can be read."""
        os.close(self._open())

    def has_work(self) -> bool:
        """Tell whether there is anything to accept, or left over from a crash."""
        return any(map(os.path.lexists, (self.new, self.taken, *self._temporaries())))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other hsup from changing the folder.

        Raises SourceError where another process does not let go of it.
        """
        descriptor = self._open()
        try:
            self._lock(descriptor)
            yield
        finally:
            with suppress(OSError):
                # Closing is not enough: a child that is being forked has a copy.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def failure(self, what: str, error: OSError) -> SourceError:
        """Return the error that says what could not be done, and why."""
        text = f"cannot {what} in control directory {self.folder}: {error.strerror}"
        return SourceError(text, hint=_HINTS.get(error.errno or 0))

    def recover(self) -> None:
        """Undo what a crash left half done. Raises SourceError."""
        with self._doing("remove what a crash left behind"):
            # Looked for first: a read-only file system refuses to remove nothing.
            for temporary in filter(os.path.lexists, self._temporaries()):
                temporary.unlink()
            if os.path.lexists(self.taken):
                self._put_back()

    def read_loaded(self) -> bytes | Fault | None:
        """Return the content of `loaded`, or None if there is none. Raises SourceError."""
        with self._doing("read loaded"):
            try:
                return read_control_file(self.loaded)
            except FileNotFoundError:
                return None

    def accept(self, submission: Submission, content: bytes) -> bool:
        """Make `new` the loaded release.

        Returns False where there is a newer `new` already, which comes next.
        Raises SourceError, and leaves `new` where it is then.
        """
        with self._doing("write loaded"):
            self._write(self.loaded, content, submission.permissions)
        for advice in (self.rejected, self.last_error):
            # Advice only, and no reason to keep a good release from running.
            with suppress(OSError):
                advice.unlink(missing_ok=True)
        with self._doing("remove new"):
            if not self._take(submission):
                return False
            self.taken.unlink(missing_ok=True)
            self._sync()
        return True

    def reject(self, submission: Submission, text: str) -> bool:
        """Put `new` aside, with a text for its author.

        Returns False where there is a newer `new` already, which comes next.
        Raises SourceError, and leaves `new` where it is then.
        """
        with self._doing("write last_error"):
            self._write(self.last_error, text.encode(errors="backslashreplace"), 0o644)
        with self._doing("rename new to rejected"):
            if submission.descriptor is None:
                self.new.rename(self.rejected)
            elif self._take(submission):
                self._rename_taken()
            else:
                return False
            self._sync()
        return True

    @contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self.failure(what, error) from error

    def _open(self) -> int:
        try:
            return os.open(self.folder, _FOLDER_FLAGS)
        except FileNotFoundError as error:
            hint = f"mkdir -p {shlex.quote(str(self.folder))}"
            text = f"{CONTROL_DIR} is {self.folder}, which does not exist"
            raise SourceError(text, hint=hint) from error
        except NotADirectoryError as error:
            text = f"{CONTROL_DIR} is {self.folder}, which is not a folder"
            raise SourceError(text, hint="set it to a control directory") from error
        except OSError as error:
            text = f"{CONTROL_DIR} is {self.folder}, which cannot be read: {error.strerror}"
            raise SourceError(text, hint=_HINTS.get(error.errno or 0)) from error

    def _lock(self, descriptor: int) -> None:
        for _ in range(LOCK_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._sleep(LOCK_RETRY_SECONDS)
            except OSError:
                return  # NFS locks only what is open for writing (man 2 flock)
            else:
                return
        text = f"control directory {self.folder} is locked by another process"
        raise SourceError(text, hint=f"fuser {shlex.quote(str(self.folder))} tells which")

    def _temporaries(self) -> tuple[Path, ...]:
        return _temporary(self.loaded), _temporary(self.last_error)

    def _write(self, path: Path, content: bytes, permissions: int) -> None:
        """Replace a file so that after a crash the old or the new one is there, whole."""
        temporary = _temporary(path)
        descriptor = os.open(temporary, _NEW_FILE_FLAGS, permissions)
        try:
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(path)
        finally:
            temporary.unlink(missing_ok=True)
        self._sync()

    def _sync(self) -> None:
        """Make renames and removals durable."""
        descriptor = os.open(self.folder, _FOLDER_FLAGS)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # what has no folders to sync (man 2 fsync)
                raise
        finally:
            os.close(descriptor)

    def _take(self, submission: Submission) -> bool:
        """Take `new` away if it still is the file that was read."""
        try:
            self.new.rename(self.taken)
            if submission.is_at(self.taken):
                return True
        except FileNotFoundError:
            return False
        self._put_back()
        return False

    def _rename_taken(self) -> None:
        try:
            self.taken.rename(self.rejected)
        except OSError:
            self._put_back()
            raise

    def _put_back(self) -> None:
        """Rename what was taken back to `new`, unless there is a newer one."""
        try:
            os.link(self.taken, self.new, follow_symlinks=False)
        except FileExistsError:
            pass
        except OSError:
            # No hard links on this file system, or not to another user's file
            # (fs.protected_hardlinks, man 5 proc).
            if not os.path.lexists(self.new):
                self.taken.rename(self.new)
        self.taken.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
