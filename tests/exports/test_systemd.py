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
from hypothesis import example, given
from hypothesis import strategies as st

from hsup.exports import systemd
from hsup.exports.program import Exported, Program
from hsup.model import Command, DynoName

SYSTEMD = Path("/lib/systemd/systemd")
#: The reader of EnvironmentFile=, a part of systemd without a program of its own.
LIBRARIES = [*Path("/usr/lib").glob("*/systemd/libsystemd-shared-*.so")]
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ODD = 'it\'s "50%" %n $HOME ${HOME} $$ \\ \\n ; # `x`  y\\'


def exported(**variables: str) -> dict[str, str]:
    """Return the files for one dyno, whose command is ODD."""
    web = Program(DynoName("web", 1), Command(("show", ODD, "")), variables)
    application = Exported("shop", "/", "daemon", (web,), None, 30.0, None)
    return dict(systemd.export(application, "/etc").files)


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


@pytest.mark.skipif(not SYSTEMD.exists(), reason="needs systemd: apt-get install systemd")
def test_the_words_of_a_command_come_out_of_the_unit() -> None:
    """A dry run as process 1, which systemd makes for other users than root, tells them quoted."""
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        for name, text in exported().items():
            Path(directory, name).write_text(text)
        user = 65534 if os.geteuid() == 0 else None
        dump = subprocess.run(
            [SYSTEMD, "--test", "--system", "--unit=shop.target"],
            env={"SYSTEMD_UNIT_PATH": f"{directory}:"},
            capture_output=True,
            text=True,
            check=True,
            user=user,
        )
    (quoted,) = re.findall(r"Command Line: (/usr/bin/env show .*)", dump.stdout)
    words = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {quoted}"], capture_output=True, text=True, check=True
    )
    # A dollar is doubled until the command is executed.
    assert words.stdout.replace("$$", "$").split("\0") == ["/usr/bin/env", "show", ODD, "", ""]
