"""systemd's own code reads the values and words that stand in its units and their files."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import tempfile
from itertools import count, takewhile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hsup.exports import systemd
from hsup.exports.program import Exported, Program
from hsup.model import Command, DynoName

SYSTEMD = Path("/lib/systemd/systemd")
#: The reader of EnvironmentFile=, a part of systemd without a program of its own.
LIBRARIES = [*Path("/usr/lib").glob("*/systemd/libsystemd-shared-*.so")]
needs_systemd = pytest.mark.skipif(
    not SYSTEMD.exists(), reason="needs systemd: apt-get install systemd"
)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
#: A word of a command line as systemd shows it.
QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|[^ ]+')
IN_C = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
ODD = 'it\'s "50%" %n $HOME ${HOME} $$ \\ \\n ; # `x`  y\\'


def exported(
    directory: str = "/etc", words: tuple[str, ...] = ("show",), **variables: str
) -> dict[str, str]:
    """Return the files for one dyno, whose command has some words, and its code a directory."""
    web = Program(DynoName("web", 1), Command(words), variables)
    application = Exported("shop", directory, "daemon", (1, 1), (web,), None, 30.0, None)
    return dict(systemd.export(application, directory).files)


def values(path: Path) -> list[str]:
    """Return the assignments that systemd takes from an environment file; they are never freed."""
    found = ctypes.POINTER(ctypes.c_char_p)()
    # int load_env_file(FILE *f, const char *fname, char ***ret), in src/basic/env-file.h
    load_env_file = ctypes.CDLL(str(LIBRARIES[0])).load_env_file
    assert load_env_file(None, os.fsencode(path), ctypes.byref(found)) == 0
    return [one.decode() for one in takewhile(bool, map(found.__getitem__, count()))]


@pytest.mark.skipif(not LIBRARIES, reason="needs libsystemd-shared: apt-get install systemd")
@given(value=TEXT)
@example(value=ODD)
@example(value="\\\n\r\n # x\n")
def test_any_value_comes_out_of_the_environment_file(
    value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "shop-web.1.env"
    path.write_text(exported(FIRST=value, LAST="last")[path.name], newline="")
    assert values(path) == [f"FIRST={value}", "LAST=last"]


def dry_run(files: dict[str, str]) -> str:
    """Return what systemd tells of units; it makes dry runs as process 1 for any user but root."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for name, text in files.items():
            Path(directory, name).write_text(text)
        user = 65534 if os.geteuid() == 0 else None
        done = subprocess.run(
            [SYSTEMD, "--test", "--system", "--unit=shop.target"],
            env={"SYSTEMD_UNIT_PATH": f"{directory}:"},
            capture_output=True,
            text=True,
            check=True,
            user=user,
        )
    return done.stdout


@needs_systemd
@settings(max_examples=10)
@given(words=st.lists(TEXT, min_size=1))
@example(words=[ODD, ""])
def test_the_words_of_a_command_come_out_of_the_unit(words: list[str]) -> None:
    told = dry_run(exported(words=("show", *words)))
    (line,) = re.findall(r"Command Line: (/bin/bash -c .* show .*)", told)
    # A dollar is doubled until the command is executed.
    read = [word.replace("$$", "$") for word in map(unquoted, QUOTED.findall(line))]
    assert read == ["/bin/bash", "-c", 'exec -- "$@"', "bash", "show", *words]


def unquoted(word: str) -> str:
    """Return a word that systemd quotes for a shell, with control characters as in C."""
    inner = word[1:-1] if word.startswith('"') else word
    return re.sub(r"\\([0-7]{3}|.)", lambda one: IN_C.get(one[1]) or octal(one[1]), inner)


def octal(text: str) -> str:
    return chr(int(text, 8)) if text.isdigit() else text


@needs_systemd
@pytest.mark.parametrize("name", ["[a]*?", "50% %n", "a\\b", "\\[", 'it\'s "so" $HOME ; # x'])
def test_odd_directories_come_out_of_the_unit(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "shop-web.1.env").touch()
    told = dry_run(exported(str(tmp_path / name)))
    assert f"WorkingDirectory: {tmp_path / name}\n" in told
    (pattern,) = re.findall(r"EnvironmentFile: (.*)", told)
    assert matches(pattern) == [str(tmp_path / name / "shop-web.1.env")]


def matches(pattern: str) -> list[str]:
    """Return the paths that glob finds, which systemd calls without any flag (man 3 glob)."""
    library, found = ctypes.CDLL(None), Found()
    if library.glob(os.fsencode(pattern), 0, None, ctypes.byref(found)):
        return []
    paths = [os.fsdecode(found.paths[number]) for number in range(found.count)]
    library.globfree(ctypes.byref(found))
    return paths


class Found(ctypes.Structure):
    """glob_t of the GNU C library, of which only the first two fields are looked at."""

    _fields_ = (
        ("count", ctypes.c_size_t),
        ("paths", ctypes.POINTER(ctypes.c_char_p)),
        ("rest", ctypes.c_void_p * 7),
    )
