from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.model import Fault
from hsup_source_procfile.text_file import MAX_BYTES, decode, read_text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a: b\r\nc: d\r\ne", "a: b\nc: d\ne"),
        (b"a: b\rc: d\r", "a: b\nc: d\n"),
        (b"\xef\xbb\xbfweb: x\n", "web: x\n"),
        ("wéb ✓\n".encode(), "wéb ✓\n"),
        (b"", ""),
    ],
)
def test_line_ends_and_a_byte_order_mark_do_not_matter(content: bytes, text: str) -> None:
    assert decode(content) == text


@pytest.mark.parametrize("text", ["a: b\r\nc: d\n", "A='b\rc'\n"])
def test_a_carriage_return_stays_where_not_all_lines_end_with_one(text: str) -> None:
    assert decode(text.encode()) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b\r\nc\xff: d", "line 2: must be UTF-8 text, got the byte 0xff: save it as UTF-8"),
        (
            b"\xef\xbb\xbfa\n\nb\xc3\n",
            "line 3: must be UTF-8 text, got the byte 0xc3: save it as UTF-8",
        ),
        (b"a: b\nc: d\0\n", "line 2: must be text, got a NUL byte"),
        *(
            ("web: x\n".encode(encoding), "must be UTF-8 text, got UTF-16: save it as UTF-8")
            for encoding in ("utf-16", "utf-16-le", "utf-16-be")
        ),
    ],
)
def test_what_is_not_text_is_a_fault_with_its_line(content: bytes, message: str) -> None:
    assert str(decode(content)) == message


@given(st.binary())
def test_any_bytes_are_text_or_a_fault(content: bytes) -> None:
    assert isinstance(decode(content), str | Fault)


def test_a_file_of_1_mib_is_read_and_a_larger_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_bytes(b"#" * MAX_BYTES)
    assert read_text(str(path)) == "#" * MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert str(read_text(str(path))) == "must not be larger than 1 MiB"


def test_a_fifo_is_a_fault_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Procfile")
    assert str(read_text(str(tmp_path / "Procfile"))) == "must be a file, got a FIFO"


def test_a_socket_is_a_fault(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / ".env"))
        assert str(read_text(str(tmp_path / ".env"))) == "must be a file, got a socket"


def test_a_device_is_a_fault_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "app.json").symlink_to("/dev/zero")
    assert str(read_text(str(tmp_path / "app.json"))) == "must be a file, got a device"


def test_a_fifo_that_takes_the_place_of_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Procfile").touch()
    file = os.stat(tmp_path / "Procfile")
    (tmp_path / "Procfile").unlink()
    os.mkfifo(tmp_path / "Procfile")
    monkeypatch.setattr(os, "stat", lambda _: file)
    assert str(read_text(str(tmp_path / "Procfile"))) == "must be a file, got a FIFO"


def test_a_directory_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        read_text(str(tmp_path))
