"""What an image has besides the files of its stack, as a tar stream."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

from hsup.errors import DriverError
from hsup.launch import START_UP, START_UP_FILE

#: The name of the user that a dyno runs as.
USER = "dyno"
#: It has the lowest number from here on that the stack has given to nobody.
_LOWEST_UID = 3000

_SET_ID = stat.S_ISUID | stat.S_ISGID
_BLOCK_BYTES = 1 << 20


class File(NamedTuple):
    """A file of the stack's."""

    path: str
    content: str


class Layer(NamedTuple):
    """The users of the stack, and the folder of the slug if there is one."""

    passwd: File
    group: File
    folder: str | None


@contextmanager
def streamed(layer: Layer, advance: Callable[[int], None]) -> Iterator[IO[bytes]]:
    """Lend a file to read a layer from while it is written, by another thread."""
    reading, writing = os.pipe()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            with open(writing, "wb") as file:
                _write(layer, _Counted(file, advance))
        except BrokenPipeError:
            pass  # whoever reads says why it stopped
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            failures.append(error)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        with open(reading, "rb") as file:
            yield file
            if failures:
                raise _unreadable(failures[0])
    finally:
        thread.join()
    if failures:
        raise _unreadable(failures[0])


def _unreadable(error: BaseException) -> DriverError:
    reason = getattr(error, "strerror", None) or str(error)
    place = getattr(error, "filename", None)
    text = f"cannot read the files of the slug: {reason}"
    failure = DriverError(f"{text}: {place}" if place else text)
    failure.__cause__ = error
    return failure


class _Counted(io.RawIOBase):
    """A file to write to that tells how much that is."""

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
        if layer.folder is None:
            app = tarfile.TarInfo("app")
            app.type, app.mode, app.uid, app.gid = tarfile.DIRTYPE, 0o755, uid, uid
            archive.addfile(app)
        else:
            _add_folder(archive, layer.folder, uid)


def _add(archive: tarfile.TarFile, path: str, content: str) -> None:
    data = content.encode("utf-8", "surrogateescape")
    member = tarfile.TarInfo(path.lstrip("/"))
    member.size, member.mode = len(data), 0o644
    archive.addfile(member, io.BytesIO(data))


def _add_folder(archive: tarfile.TarFile, folder: str, uid: int) -> None:
    """Add a slug as /app: what belongs to its owner is the dyno's, all else stays as it is."""
    folder = os.path.realpath(folder)
    owner = os.stat(folder).st_uid

    for path in _paths(folder):
        try:
            member = archive.gettarinfo(path, f"app{path[len(folder) :]}")
            if member is not None and not member.isdev():
                _give(member, owner, uid)
                _add_member(archive, member, path)
        except FileNotFoundError:
            continue  # it has just gone


def _paths(folder: str) -> Iterator[str]:
    yield folder
    for parent, folders, files in os.walk(folder):
        yield from (os.path.join(parent, name) for name in sorted((*folders, *files)))


def _give(member: tarfile.TarInfo, owner: int, uid: int) -> None:
    """Give what belongs to the folder's owner to the dyno's user."""
    if member.uid == owner:
        member.uid = member.gid = uid
    member.uname = member.gname = ""
    member.mode &= ~_SET_ID


def _add_member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
    if not member.isreg():
        archive.addfile(member)
        return
    with open(path, "rb") as file:
        try:
            archive.addfile(member, file)
        except OSError as error:  # it has become shorter meanwhile
            error.filename = error.filename or path
            raise


def _others(users: str) -> str:
    """Return the lines of other users, see man 5 passwd."""
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
    while str(uid) in taken:
        uid += 1
    return uid
