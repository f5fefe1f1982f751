from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.cli.telling import SIZED
from tests.conftest import Installer

pytestmark = pytest.mark.usefixtures("directory")


@pytest.mark.parametrize(
    ("words", "variable", "size"),
    [
        ([], None, "None"),
        ([], "eco", "eco"),
        (["--size", "performance-m"], "eco", "performance-m"),
    ],
    ids=str,
)
def test_a_one_off_has_the_size_that_was_asked_for(
    install: Installer, words: list[str], variable: str | None, size: str
) -> None:
    install("hsup-driver-sized", SIZED)
    words = [sys.executable, "-m", "hsup", "run", "-d", "sized", *words, "true"]
    environ = {**os.environ, "HSUP_SIZE": variable or ""}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environ)
    assert done.stdout == f"size {size}\n"
