"""Fetch and unpack what the entry of a stack points to."""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import dataclass

from hsup import long_work
from hsup.archives.digest import url_key
from hsup.archives.location import ArchiveURL, find
from hsup.archives.progress import bar
from hsup.directories import make_directories
from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.archive import capacity, recognize
from hsup_driver_libcontainer.stacks.copying import copy
from hsup_driver_libcontainer.stacks.disk_image import check_image, unpack_image
from hsup_driver_libcontainer.stacks.lock import DOWNLOAD
from hsup_driver_libcontainer.stacks.manifest import Entry, shown
from hsup_driver_libcontainer.stacks.progress import StepPrinter
from hsup_driver_libcontainer.stacks.registry import pull_image, resolve_image, unpack_layers
from hsup_driver_libcontainer.stacks.root import check_root, settle
from hsup_driver_libcontainer.stacks.stack import IMAGE, ROOT, Record, write_record
from hsup_driver_libcontainer.stacks.tar import unpack_tar
from hsup_driver_libcontainer.stacks.tools import Tools

#: Within the workspace: the directory that becomes the stack's.
_STACK = "stack"
#: Within the workspace: the copy of an operator's archive that is verified, then unpacked.
_COPY = "archive"
#: A download that fails is tried again after twice as long, then four times, and so on.
BACKOFF_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """Where a stack is made: a directory of this process alone, which is removed at the end.

    `min_rate` is in bytes a second.
    """

    directory: str
    tools: Tools
    progress: StepPrinter
    min_rate: int


def fetch(entry: Entry, workspace: Workspace, current: str | None = None) -> str | None:
    """Fetch and unpack a stack, and return its complete directory within the workspace.

    Returns None if a registry still has the image of the digest `current`.
    Raises DriverError.
    """
    stack = os.path.join(workspace.directory, _STACK)
    # A killed process may have left an incomplete one; downloads and layers are kept.
    shutil.rmtree(stack, ignore_errors=True)
    os.mkdir(stack, 0o755)
    try:
        with long_work.current().doing(workspace.progress.describe):
            if entry.image is not None:
                record = _from_registry(entry, stack, workspace, current)
            else:
                record = _from_archive(entry, stack, workspace)
        if record is None:
            return None
        write_record(stack, record)
        # Completely on the disk before it is renamed into place.
        workspace.tools.run("sync", "--file-system", stack, to=f"write {stack}")
    except OSError as error:
        what = error.filename or stack
        text = f'cannot fetch stack "{entry}": {what}: {error.strerror}'
        is_missing = isinstance(error, FileNotFoundError) and what == entry.url
        hint = "change its url in manifest.yml, or import the stack again" if is_missing else None
        raise DriverError(text, hint=hint) from error
    finally:
        workspace.progress.finish()
    return stack


def _from_registry(
    entry: Entry, stack: str, workspace: Workspace, current: str | None
) -> Record | None:
    image = resolve_image(entry, workspace.tools)
    if image.digest == current:
        return None
    workspace.progress.say(f"pulling stack {entry} from {shown(entry.url)}")
    layout = pull_image(image, workspace.directory, workspace.tools, workspace.progress)
    workspace.progress.say(f"unpacking stack {entry}")
    root = os.path.join(stack, ROOT)
    unpack_layers(layout, root, workspace.tools)
    return _record(entry, filesystem=None, size=_settled(root, entry), digest=image.digest)


def _from_archive(entry: Entry, stack: str, workspace: Workspace) -> Record:
    path = entry.url if entry.url.startswith("/") else _download(entry, workspace)
    name = shown(entry.url)
    _require_file(path, name, workspace.directory)
    if entry.checksum:
        path = _verified(path, entry, entry.checksum, workspace)
    archive = recognize(path, name, workspace.tools)
    workspace.progress.say(f"unpacking stack {entry}")
    if archive.format == "tar":
        root = os.path.join(stack, ROOT)
        unpack_tar(archive, root, workspace.tools, workspace.progress)
        return _record(entry, filesystem=None, size=_settled(root, entry))
    image = os.path.join(stack, IMAGE)
    unpack_image(archive, image, workspace.tools, workspace.progress)
    check_image(image, archive.format, str(entry), workspace.tools)
    return _record(entry, filesystem=archive.format, size=os.path.getsize(image))


def _require_file(path: str, name: str, directory: str) -> None:
    """Raise DriverError for a file that cannot contain a stack, without reading it.

    FIFOs and devices block or have no end, as some files of /proc.
    """
    status = os.stat(path)
    kind = "neither a file nor a directory" if not stat.S_ISREG(status.st_mode) else "empty"
    if kind != "empty" or not status.st_size:
        hint = "use a tar, a disk image, or the directory of a root file system"
        raise DriverError(f"{name} is {kind}", hint=hint)
    if status.st_size > capacity(directory):
        text = f"{name} has {status.st_size} bytes, more than the whole file system for stacks"
        raise DriverError(
            text, hint="use a smaller one, or set HSUP_STACKS_DIR to a directory on a larger disk"
        )


def _verified(path: str, entry: Entry, checksum: str, workspace: Workspace) -> str:
    """Verify a checksum, and return the path of a file that no other program changes."""
    from hsup_driver_libcontainer.stacks.checksum import verify

    if path == entry.url:
        path = os.path.join(workspace.directory, _COPY)
        workspace.progress.say(f"copying {entry.url}")
        copy(entry.url, path, entry.url, workspace.tools, workspace.progress)
    verify(path, entry.url, checksum)
    return path


def _download(entry: Entry, workspace: Workspace) -> str:
    # Imported here, as importing it takes longer than all the rest.
    from hsup.archives.download import Download

    archive = find(entry.url, workspace.directory, subject="stack")
    assert isinstance(archive, ArchiveURL), f"{entry.url} was refused by check_url"
    # A directory for this URL alone: a killed process may have left a download of another one.
    directory = os.path.join(workspace.directory, DOWNLOAD, url_key(entry.url))
    make_directories(directory)
    workspace.progress.say(f"downloading stack {entry} from {archive}")
    download = Download(archive, directory, bar, min_rate=workspace.min_rate, subject="stack")
    download.run(unless=None, backoff_seconds=BACKOFF_SECONDS)
    return download.path


def _settled(root: str, entry: Entry) -> int:
    size = settle(root)
    check_root(root, str(entry))
    return size


def _record(
    entry: Entry, *, filesystem: str | None, size: int, digest: str | None = None
) -> Record:
    return Record(
        name=entry.name,
        version=entry.version,
        url=entry.url,
        checksum=entry.checksum,
        digest=digest,
        filesystem=filesystem,
        size=size,
    )
