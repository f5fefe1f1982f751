"""The layer that hsup adds to a stack to make an image, as a tar stream."""

from __future__ import annotations

import errno
import io
import os
import pwd
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import IO, Any

from hsup.errors import HsupError, TooManyProcesses
from hsup.launch import START_UP, START_UP_FILE
from hsup.threads import start_thread
from hsup_driver_docker.images.tree import Entry, unreadable, walk

#: The name of the user of dynos.
USER = "dyno"
#: Its uid is the lowest one from here on that neither stack nor machine uses.
_LOWEST_UID = 3000

#: The uid that the kernel shows for unmapped users (/proc/sys/kernel/overflowuid).
_NOBODY = 65534
#: The prefix of a file that hides one of a lower layer (OCI image specification, whiteouts).
_WHITEOUT = ".wh."
_SET_ID = stat.S_ISUID | stat.S_ISGID
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class File:
    """A file of the stack."""

    path: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The users and groups of the stack, and the directory of the slug, if there is one."""

    passwd: File
    group: File
    directory: str | None


@contextmanager
def streamed(layer: Layer, advance: Callable[[int], None]) -> Iterator[IO[bytes]]:
    """Yield a file from which to read a layer, while another thread writes it."""
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with open(writing, "wb") as file:
                _write(layer, _Counted(file, advance))
        except BrokenPipeError:
            pass  # the reader has stopped, and raises why
        except BaseException as error:  # noqa: BLE001 - it is raised in the reader's thread
            failures.append(error)

    try:
        thread = start_thread(partial(copy_context().run, write))  # to see that it is given up
    except TooManyProcesses:
        os.close(reading)
        os.close(writing)
        raise
    try:
        with open(reading, "rb") as file:
            yield file
    finally:
        thread.join()
        if failures:  # they are the cause of any failure of the reader
            (failure,) = failures
            raise failure if isinstance(failure, HsupError) else unreadable(failure)


class _Counted(io.RawIOBase):
    """A file that reports how much is written to it."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def write(self, data: Any) -> int:
        self._advance(len(data))
        return self._file.write(data)


def _write(layer: Layer, file: _Counted) -> None:
    uid = _free_uid(layer)
    dyno = f"{USER}:x:{uid}:{uid}:dyno:/app:/bin/bash\n"
    with tarfile.open(fileobj=file, mode="w|", bufsize=_BLOCK_BYTES) as archive:
        _add(archive, layer.passwd.path, _others(layer.passwd.content) + dyno)
        _add(archive, layer.group.path, f"{_others(layer.group.content)}{USER}:x:{uid}:\n")
        _add(archive, START_UP_FILE, START_UP)
        if layer.directory is None:
            app = tarfile.TarInfo("app")
            app.type, app.mode, app.uid, app.gid = tarfile.DIRTYPE, 0o755, uid, uid
            archive.addfile(app)
        else:
            _add_directory(archive, layer.directory, uid)


def _add(archive: tarfile.TarFile, path: str, content: str) -> None:
    data = content.encode("utf-8", "surrogateescape")
    member = tarfile.TarInfo(path.lstrip("/"))
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


def _add_directory(archive: tarfile.TarFile, directory: str, uid: int) -> None:
    """Add a slug as /app; files of the owner of its directory become the dyno's."""
    owner = None
    for entry in walk(directory):
        owner = entry.status.st_uid if owner is None else owner
        try:
            _add_entry(archive, entry, partial(_given, owner=owner, uid=uid))
        except FileNotFoundError:
            continue  # it was just removed


def _add_entry(
    archive: tarfile.TarFile, entry: Entry, given: Callable[[tarfile.TarInfo], tarfile.TarInfo]
) -> None:
    mode = entry.status.st_mode
    if entry.name.startswith(_WHITEOUT):
        reason = f'an image cannot hold a file whose name begins with "{_WHITEOUT}"'
        raise OSError(errno.EINVAL, reason, entry.path)
    if stat.S_ISREG(mode):
        with open(entry.open(), "rb") as file:
            member = archive.gettarinfo(arcname=f"app{entry.path}", fileobj=file)
            _copy(archive, given(member), file, entry.path)
    elif stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
        member = tarfile.TarInfo(f"app{entry.path}")
        member.mode, member.mtime = stat.S_IMODE(mode), entry.status.st_mtime
        member.uid, member.gid = entry.status.st_uid, entry.status.st_gid
        member.type = tarfile.DIRTYPE
        if stat.S_ISLNK(mode):
            member.type, member.linkname = tarfile.SYMTYPE, entry.target()
        archive.addfile(given(member))


def _given(member: tarfile.TarInfo, *, owner: int, uid: int) -> tarfile.TarInfo:
    """Give a file of the directory's owner to the dyno's user, and no other file."""
    if member.uid == owner:
        member.uid = member.gid = uid
    else:  # the dyno's uid may be another user's on this machine
        member.uid = _NOBODY if member.uid == uid else member.uid
        member.gid = _NOBODY if member.gid == uid else member.gid
    member.uname = member.gname = ""
    member.mode &= ~_SET_ID
    return member


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, file: IO[bytes], path: str) -> None:
    if not member.isreg():  # a hard link to a file that was added already
        archive.addfile(member)
        return
    try:
        archive.addfile(member, file)
    except OSError as error:  # the file was truncated meanwhile
        error.filename = error.filename or path
        raise


def _others(users: str) -> str:
    """Return the lines of all other users (man 5 passwd)."""
    lines = users.splitlines()
    return "".join(f"{line.rstrip()}\n" for line in lines if line.partition(":")[0] != USER)


def _free_uid(layer: Layer) -> int:
    taken = {
        line.split(":")[2]
        for file in (layer.passwd, layer.group)
        for line in file.content.splitlines()
        if line.count(":") >= 3 and line.partition(":")[0] != USER  # noqa: PLR2004 - man 5 passwd
    }
    uid = _LOWEST_UID
    while str(uid) in taken or _has_account(uid):
        uid += 1
    return uid


def _has_account(uid: int) -> bool:
    """Tell whether a user of this machine, whose files a dyno could read, has a uid; blocks."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
