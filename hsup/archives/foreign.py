"""Recognize files that are mistaken for tar archives."""

from __future__ import annotations

#: The first bytes of files that people give instead; see magic(5) of file.
_MARKS = (
    (b"PK\3\4", "a zip archive"),
    (b"PK\5\6", "an empty zip archive"),
    (b"070701", "a cpio archive"),
    (b"070702", "a cpio archive"),
    (b"070707", "a cpio archive"),
    (b"\xc7\x71", "a cpio archive"),
    (b"\x71\xc7", "a cpio archive"),
    (b"!<arch>\n", "an ar archive, as .deb packages are"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"xar!", "a xar archive"),
    (b"hsqs", "a squashfs image"),
    (b"\x04\x22\x4d\x18", "a file compressed with lz4"),
    (b"\x5d\0\0", "a file compressed with lzma"),
    (b"\x1f\x9d", "a file compressed with compress"),
    (b"\x89LZO\0", "a file compressed with lzop"),
    (b"LZIP", "a file compressed with lzip"),
    # The outer compression has been removed already.
    (b"\x1f\x8b", "a file compressed twice"),
    (b"BZh", "a file compressed twice"),
    (b"\xfd7zXZ\0", "a file compressed twice"),
    (b"\x28\xb5\x2f\xfd", "a file compressed twice"),
    (b"\x7fELF", "a program"),
    (b"#!", "a script"),
    (b"version https://git-lfs", "a pointer of Git LFS"),
)
#: The first bytes of what servers answer instead, in lower case.
_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML document"),
    (b"<error", "an XML document"),
    (b"{", "a JSON document"),
)
_UTF8_MARK = b"\xef\xbb\xbf"


def what_is(head: bytes) -> str | None:
    """Return the kind of a file that begins with `head`, None if it is unknown."""
    if not head:
        return "an empty file"
    text = head.removeprefix(_UTF8_MARK).lstrip().lower()
    return next(
        (
            name
            for marks, start in ((_MARKS, head), (_TEXTS, text))
            for mark, name in marks
            if start.startswith(mark)
        ),
        None,
    )
