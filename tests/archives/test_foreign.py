from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from hsup.slugs import SlugError


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "it is an empty file, not a tar archive"),
        (b"web: ./serve\n", "ends too early"),
        (b"web: ./serve\n" * 100, "it is not a tar archive"),
        (b"PK\3\4" + bytes(600), "it is a zip archive, not a tar archive; make the archive with"),
        (gzip.compress(b"PK\3\4" + bytes(600), mtime=0), "it is a zip archive"),
        (b"070701" + bytes(600), "it is a cpio archive"),
        (gzip.compress(b"\xc7\x71" + bytes(600), mtime=0), "it is a cpio archive"),
        (b"\n<!DOCTYPE html><p>Not found", "it is an HTML page"),
        (b"\xef\xbb\xbf<HTML>" + b" " * 600, "it is an HTML page"),
        (b'<?xml version="1.0"?><Error>', "it is an XML document"),
        (b'{"id": "not_found"}', "it is a JSON document"),
        (gzip.compress(gzip.compress(b"", mtime=0), mtime=0), "it is a file compressed twice"),
        (b"LZIP\1" + bytes(600), "it is a file compressed with lzip"),
    ],
)
def test_what_is_no_archive_is_called_what_it_is(
    content: bytes, text: str, unpacked: Callable[..., Path]
) -> None:
    with pytest.raises(SlugError, match=re.escape(text)):
        unpacked(content)


@pytest.mark.parametrize("start", [b"PK\3\4", b"{", b"<html", b"070701"])
def test_an_archive_may_begin_as_something_else_does(
    start: bytes, build: ModuleType, unpacked: Callable[..., Path]
) -> None:
    name = os.fsdecode(start)
    app = unpacked(build.tar(build.member(name, b""), build.member("app/x", b"")))
    assert os.listdir(app) == ["x"]
