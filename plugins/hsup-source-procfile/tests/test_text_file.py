from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.model import Fault
from hsup_source_procfile.text_file import MAX_BYTES, decode, read_text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a: b\r\nc: d\re", "a: b\nc: d\ne"),
        (b"\xef\xbb\xbfweb: x\n", "web: x\n"),
        ("wéb ✓\n".encode(), "wéb ✓\n"),
        (b"", ""),
    ],
)
def test_line_ends_and_a_byte_order_mark_do_not_matter(content, text):
    assert decode(content) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b\r\nc\xff: d", "line 2: must be UTF-8, has the byte 0xff"),
        (b"\xef\xbb\xbfa\n\nb\xc3\n", "line 3: must be UTF-8, has the byte 0xc3"),
        (b"a: b\nc: d\0\n", "line 2: must be text, has a NUL byte"),
        ("web: x\n".encode("utf-16-le"), "line 1: must be text, has a NUL byte"),
    ],
)
def test_what_is_not_text_is_a_fault_with_its_line(content, message):
    assert str(decode(content)) == message


@given(st.binary())
def test_any_bytes_are_text_or_a_fault(content):
    assert isinstance(decode(content), str | Fault)


def test_a_file_of_1_mib_is_read_and_a_larger_one_is_not(tmp_path):
    path = tmp_path / "Procfile"
    path.write_bytes(b"#" * MAX_BYTES)
    assert read_text(path) == "#" * MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert str(read_text(path)) == "must not be larger than 1 MiB"
