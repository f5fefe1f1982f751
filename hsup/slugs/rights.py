"""Open files that a release names on this machine with the rights of its author.

A file is opened by a thread that has the author's user and groups for the file system
(man 2 setfsuid) and no capability, so that every directory, link and access control list on
the path is checked as it would be for the author. The file stays open until it is used, and
is not opened a second time: the author cannot replace it after the check.

A directory also has to belong to the author. Drivers give a dyno the files that belong to the
owner of its directory, and no others; from a directory of root's, authors would get files that
they cannot read. The operator may allow other directories, and everything below them, with
HSUP_SLUG_FOLDERS.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hsup.archives.errors import SlugError

if TYPE_CHECKING:
    from hsup.model import Author

DIRECTORIES = "HSUP_SLUG_FOLDERS"

#: The kernel's number for a group that does not exist (/proc/sys/kernel/overflowgid).
_NOBODY = 65534

_HINT = (
    f"use a slug that belongs to the author, or add one of its parent directories to {DIRECTORIES}"
)


def read_directories(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the directories in which releases may name anything; relative ones are ignored."""
    return tuple(path for path in environ.get(DIRECTORIES, "").split(":") if path.startswith("/"))


def open_slug(path: str, author: Author | None, allowed: Sequence[str] = ()) -> int:
    """Return a descriptor of a regular file or a directory.

    Neither a FIFO nor a device is opened. Raises OSError if hsup, or the author, cannot open
    the path, and SlugError if it is something else or the author may not use it.
    """
    if author is None or author.is_trusted:
        return _opened(path)
    if (descriptor := _open_allowed(path, allowed)) is not None:
        return descriptor
    try:
        descriptor = _open_as(author, path)
    except PermissionError as error:
        text = f'the author of the release, {_name(author)}, is not allowed to read "{path}"'
        raise SlugError(text, hint=_HINT) from error
    status = os.fstat(descriptor)
    if stat.S_ISDIR(status.st_mode) and not _is_own(status, author):
        os.close(descriptor)
        text = f'directory "{path}" does not belong to the author of the release, {_name(author)}'
        raise SlugError(text, hint=_HINT)
    return descriptor


def _opened(path: str) -> int:
    """Open a file or a directory, after a check that it is one: opening a device has effects."""
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            text = f'slug "{path}" is neither a file nor a directory'
            raise SlugError(text, hint="give the path of a tar archive")
        # Some files of /proc would block until there is something to read.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{handle}", flags)
    finally:
        os.close(handle)


def _open_allowed(path: str, allowed: Sequence[str]) -> int | None:
    """Open a path below a directory that the operator allows, links resolved; None for others."""
    if not allowed:
        return None
    try:
        descriptor = _opened(path)
    except (OSError, SlugError):
        return None  # the author learns no more than the author's own rights reveal
    resolved = os.readlink(f"/proc/self/fd/{descriptor}")
    if any(_is_below(resolved, os.path.realpath(directory)) for directory in allowed):
        return descriptor
    os.close(descriptor)
    return None


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _open_as(author: Author, path: str) -> int:
    if os.geteuid():
        return _open_own(author, path)
    from hsup.slugs.credentials import in_thread_of

    return in_thread_of(author.uid, _groups(author), lambda: _opened(path))


def _open_own(author: Author, path: str) -> int:
    """Open a path that belongs to the author: only root can take on the author's rights."""
    descriptor = _opened(path)
    if os.fstat(descriptor).st_uid != author.uid:
        os.close(descriptor)
        raise PermissionError(path)
    return descriptor


def _is_own(status: os.stat_result, author: Author) -> bool:
    """Tell whether the owner and the group of a directory are the author's: a dyno has both."""
    return status.st_uid == author.uid and status.st_gid in _groups(author)


def _groups(author: Author) -> Sequence[int]:
    """Return the groups of an author, the primary one first.

    A user without an account has the group of the release's file, unless that group exists:
    a directory may give its own group to the files in it.
    """
    import grp
    import pwd

    try:
        user = pwd.getpwuid(author.uid)
    except KeyError:
        pass
    else:
        return os.getgrouplist(user.pw_name, user.pw_gid)
    try:
        grp.getgrgid(author.gid)
    except KeyError:
        return (author.gid,)
    return (_NOBODY,)


def _name(author: Author) -> str:
    import pwd

    try:
        return pwd.getpwuid(author.uid).pw_name
    except KeyError:
        return f"uid {author.uid}"
