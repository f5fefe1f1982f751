"""Make archives, valid ones and damaged ones."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
from typing import Literal

from hsup.archives.limits import Limits

#: For what the tests unpack.
LIMITS = Limits(size=64 << 20, files=1000)

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes | None = None, **fields: object) -> Member:
    """Make a TarInfo with its content: a file if there is content, else a directory."""
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
    info.mode = 0o755 if content is None else 0o644
    info.size = len(content or b"")
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content or b""


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    """Make a link, without content."""
    return member(name, b"", type=kind, linkname=target)


def tar(*members: Member, form: Literal[0, 1, 2] = tarfile.GNU_FORMAT) -> bytes:
    """Return an uncompressed archive; a size that differs from the content's is kept."""
    parts = (
        info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)
        for info, content in members
    )
    return b"".join(parts) + bytes(1024)


def slug(text: bytes = b"web: ./serve\n") -> bytes:
    """Return a small archive like the platform's, compressed with gzip."""
    content = tar(member("./app"), member("./app/Procfile", text), link("./app/sh", "/bin/sh"))
    return gzip.compress(content, mtime=0)


def sha256(content: bytes) -> str:
    """Return a digest in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def checksum(content: bytes) -> str:
    """Return a digest in the form of a release's checksum."""
    return f"SHA256:{sha256(content)}"


def fix_checksum(archive: bytearray) -> None:
    """Correct the checksum of the first header after a change."""
    archive[148:156] = b" " * 8
    archive[148:156] = b"%06o\0 " % sum(archive[:512])
