from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsup.cli.diagnostics import VisibleFormatter
from hsup.table import table
from hsup.visible import visible
from tests.conftest import Installer


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("żółw 🐢 पतंग 👨‍👩‍👧", "żółw 🐢 पतंग 👨‍👩‍👧"),
        (r"printf 'a\n'", r"printf 'a\n'"),
        ("a\tb\r\nc", r"a\tb\r\nc"),
        ("\x1b[2J\x00\x7f", r"\x1b[2J\x00\x7f"),
        ("\x9b31m\x85", r"\x9b31m\x85"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("\uffff\U0001fffe", r"\uffff\U0001fffe"),
    ],
)
def test_what_would_do_something_is_shown_and_text_is_text(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(text=st.text(st.characters()))
def test_any_text_is_one_line_of_utf_8_that_does_nothing(text: str) -> None:
    shown = visible(text)
    assert len(shown.splitlines()) <= 1
    assert not any(ord(one) < 32 or 127 <= ord(one) < 160 for one in shown)
    assert shown.encode().decode() == shown
    assert visible(shown) == shown


def test_cells_of_a_table_are_as_wide_as_they_are_shown() -> None:
    rows = [("A", "B"), ("\x1b", "x")]
    assert list(table(rows)) == ["A     B", "\\x1b  x"]


def test_a_record_is_one_line_and_its_exception_is_set_in() -> None:
    error = ValueError("evil\nhsup: forged \x1b[2J")
    record = logging.makeLogRecord({"msg": "a\nb", "exc_info": (ValueError, error, None)})
    first, *others = VisibleFormatter("hsup: %(message)s").format(record).split("\n")
    assert first == r"hsup: a\nb"
    assert all(line.startswith("  ") for line in others)
    assert others[-1] == r"  hsup: forged \x1b[2J"


def hsup(*words: str, directory: Path, **variables: str) -> subprocess.CompletedProcess[bytes]:
    command = (sys.executable, "-m", "hsup", *words)
    environ = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, cwd=directory, env=environ, check=False)


EVIL = "\x1b]0;title\x07\x9b2J\nhsup: forged"


@pytest.mark.parametrize(
    "words",
    [
        ("start", EVIL),
        ("start", f"--{EVIL}"),
        (EVIL,),
        ("start", "-d", EVIL),
        ("run", "--source", EVIL, "--", "true"),
        ("start", "--bind", EVIL),
        ("check", EVIL),
        ("check", "--source", "procfile", EVIL),
        ("start", "--grace", EVIL),
    ],
    ids=ascii,
)
def test_no_error_has_a_control_character_or_a_line_of_somebody_else(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "Procfile").write_text("web: true\n")
    done = hsup(*words, directory=tmp_path)
    assert done.returncode in (1, 2)
    text = done.stderr.decode()
    assert "title" in text
    assert not set(text) & set("\x1b\x07\x9b")
    assert "hsup: forged" not in text.splitlines()


def test_what_a_plugin_is_called_and_says_is_visible(install: Installer, tmp_path: Path) -> None:
    install("evil-\x1b[2J", f"raise ValueError({EVIL!r})", version="1\x07")
    listed = hsup("plugins", directory=tmp_path)
    assert rb"evil-\x1b[2J" in listed.stdout
    assert b"\x1b" not in listed.stdout + listed.stderr
    assert b"\x07" not in listed.stdout + listed.stderr
    as_json = hsup("plugins", "--json", directory=tmp_path)
    assert as_json.stdout.isascii()
    assert "evil-\x1b[2J" in [one["distribution"] for one in json.loads(as_json.stdout)["plugins"]]


def test_a_mistake_of_hsups_own_is_shown_as_text() -> None:
    program = """
import hsup.cli.commands
import hsup.cli.main
def broken(**_):
    raise RuntimeError("\\x1b[2Jgone\\nhsup: all is well")
hsup.cli.commands.hsup = broken
hsup.cli.main.main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("hsup: Traceback (most recent call last):\n")
    assert ended.stderr.endswith("hsup: RuntimeError: \\x1b[2Jgone\nhsup: hsup: all is well\n")
