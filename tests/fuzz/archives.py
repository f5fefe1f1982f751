"""Unpack mutated archives: each is unpacked or refused, and nothing outside changes."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext

from tests.fuzz.harness import fuzz, instrumented

with instrumented("hsup.archives", "hsup.slugs"):
    from hsup.archives.errors import SlugError
    from hsup.archives.limits import Limits
    from hsup.slugs.unpack import unpack

LIMITS = Limits(size=1 << 20, files=100)
KINDS = b"01235678SDLKxgVX"
BLOCK = 512


class ExecutorContext:
    """A directory to unpack into, beside what a harm would change."""

    def __init__(self) -> None:
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.directory = tempfile.mkdtemp(prefix="hsup-fuzz-", dir=memory)
        self.archive = os.path.join(self.directory, "slug")
        self.new = os.path.join(self.directory, "new")
        self.secret = os.path.join(self.directory, "secret")
        with open(self.secret, "w", encoding="ascii") as file:
            file.write("secret")
        self.found = os.stat(self.secret)

    def unpack(self, data: bytes) -> None:
        with open(self.archive, "wb") as file:
            file.write(data)
        os.mkdir(self.new)
        try:
            unpack(self.archive, self.new, LIMITS, lambda *_: nullcontext(lambda _: None), "slug")
        except SlugError:
            pass
        self.check()
        shutil.rmtree(self.new)

    def check(self) -> None:
        assert sorted(os.listdir(self.directory)) == ["new", "secret", "slug"]
        assert os.listdir(self.new) in ([], ["app"])
        assert os.stat(self.secret) == self.found
        for top, directories, files in os.walk(os.fsencode(self.new)):
            for name in directories + files:
                mode = os.lstat(os.path.join(top, name)).st_mode
                assert stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode), oct(mode)
                assert stat.S_ISLNK(mode) or not mode & 0o7000, oct(mode)


def seeds() -> Iterator[bytes]:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", format=form) as archive:
            for name in ("app/d/x", "app/" + "long/" * 40 + "x"):
                member = tarfile.TarInfo(name)
                member.size, member.mtime = 5, 1.5
                archive.addfile(member, io.BytesIO(b"hello"))
            for kind, target in ((tarfile.SYMTYPE, "../secret"), (tarfile.LNKTYPE, "app/d/x")):
                member = tarfile.TarInfo("app/y")
                member.type, member.linkname = kind, target
                archive.addfile(member)
        yield content.getvalue()
    for headers in (
        {"GNU.sparse.size": "9", "GNU.sparse.map": "4,5"},
        {"GNU.sparse.major": "1", "GNU.sparse.realsize": "9", "GNU.sparse.name": "app/z"},
    ):
        member = tarfile.TarInfo("app/z")
        member.size, member.pax_headers = 517, headers
        data = b"1\n4\n5\n".ljust(BLOCK, b"\0") + b"hello".ljust(BLOCK, b"\0")
        yield member.tobuf(tarfile.PAX_FORMAT) + data + bytes(1024)
    for number in KINDS:
        member = tarfile.TarInfo("app/k")
        member.type, member.linkname, member.size = bytes([number]), "app/k", 8
        yield member.tobuf(tarfile.GNU_FORMAT) + b"8 a=bcd\n".ljust(BLOCK, b"\0") + bytes(1024)


def with_checksums(data: bytes) -> bytes:
    """Let headers that were changed pass their first check."""
    content = bytearray(data)
    for at in range(0, len(content) - BLOCK + 1, BLOCK):
        if content[at + 257 : at + 262] == b"ustar":
            content[at + 148 : at + 156] = b" " * 8
            content[at + 148 : at + 156] = b"%06o\0 " % sum(content[at : at + BLOCK])
    return bytes(content)


def main() -> None:
    surroundings = ExecutorContext()
    try:
        # The fuzzer ends its process without a word.
        child = os.fork()
        if not child:
            fuzz(lambda data: surroundings.unpack(with_checksums(data)), seeds())
        _, status = os.waitpid(child, 0)
    finally:
        shutil.rmtree(surroundings.directory)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
