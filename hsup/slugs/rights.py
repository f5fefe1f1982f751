"""Open what a release names on this machine with no more right than its author has.

A file is opened by a thread that has the author's user, group and other groups for the file
system (man 2 setfsuid) and no capability, so that every folder, link and access control list on
the way counts as for himself. What is opened stays open until it is used: whatever he puts in
its place meanwhile, nothing is looked at and then opened again.

A directory has to be his own besides. Drivers give a dyno what belongs to the owner of its
directory, and nothing else of what is in there; so of one that is root's he would get what he
cannot read. The operator may allow others, with everything below them: HSUP_SLUG_FOLDERS.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hsup.archives.errors import SlugError

if TYPE_CHECKING:
    from hsup.model import Author

FOLDERS = "HSUP_SLUG_FOLDERS"

#: The kernel's own number for a group that there is none of (/proc/sys/kernel/overflowgid).
_NOBODY = 65534

_HINT = f"use what is their own, or have {FOLDERS} name a directory that it is in"


def read_folders(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the directories of which releases may name anything; relative ones are not taken."""
    return tuple(one for one in environ.get(FOLDERS, "").split(":") if one.startswith("/"))


def open_slug(path: str, author: Author | None, allowed: Sequence[str] = ()) -> int:
    """Return a descriptor of a regular file or a directory.

    Neither a FIFO nor a device is opened. Raises OSError where hsup itself, or the author,
    could not open it, and SlugError where it is something else or must not be used.
    """
    if author is None or author.is_trusted:
        return _opened(path)
    if (descriptor := _open_allowed(path, allowed)) is not None:
        return descriptor
    try:
        descriptor = _open_as(author, path)
    except PermissionError as error:
        text = f'the author of the release, {_name(author)}, may not read "{path}"'
        raise SlugError(text, hint=_HINT) from error
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode) and not _is_own(found, author):
        os.close(descriptor)
        text = f'directory "{path}" does not belong to the author of the release, {_name(author)}'
        raise SlugError(text, hint=_HINT)
    return descriptor


def _opened(path: str) -> int:
    """Open a file or a directory, once it is known to be one: to open a device has effects."""
    found = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        mode = os.fstat(found).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            text = f"slug {path} is neither a file nor a directory"
            raise SlugError(text, hint="give the path of a tar archive")
        # Some files of /proc would wait for something to read.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{found}", flags)
    finally:
        os.close(found)


def _open_allowed(path: str, allowed: Sequence[str]) -> int | None:
    """Open what is below a directory of the operator's, wherever links lead; None for all else."""
    if not allowed:
        return None
    try:
        descriptor = _opened(path)
    except (OSError, SlugError):
        return None  # the author is told no more than he could find out himself
    place = os.readlink(f"/proc/self/fd/{descriptor}")
    if any(_is_below(place, os.path.realpath(folder)) for folder in allowed):
        return descriptor
    os.close(descriptor)
    return None


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _open_as(author: Author, path: str) -> int:
    if os.geteuid():
        return _open_own(author, path)
    from hsup.slugs.credentials import in_thread_of

    return in_thread_of(author.uid, _groups(author), lambda: _opened(path))


def _open_own(author: Author, path: str) -> int:
    """Open what belongs to the author: only root can have his rights for a while."""
    descriptor = _opened(path)
    if os.fstat(descriptor).st_uid != author.uid:
        os.close(descriptor)
        raise PermissionError(path)
    return descriptor


def _is_own(found: os.stat_result, author: Author) -> bool:
    """Tell whether a directory, and the group that its dyno's user stands for, are theirs."""
    return found.st_uid == author.uid and found.st_gid in _groups(author)


def _groups(author: Author) -> Sequence[int]:
    """Return the groups of a user, the first one first.

    That of what they wrote counts for a user who is not known, and if no group has its number:
    a directory may give its own to the files in it.
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
