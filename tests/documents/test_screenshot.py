"""README's picture shows what hsup prints."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("rich", reason="rich, which draws the picture, is not installed")
from docs import screenshot

#: Times, process ids and ports; digits that say how often something was done stay.
_VARYING = re.compile(r"\d\d:\d\d:\d\d|\d\d/[A-Z][a-z]+/\d+|pid \d+|(?<=port )\d+|(?<=:)\d{4,5}")


def masked(lines: list[str]) -> list[str]:
    """Return the lines without what is different in each run; two dynos print side by side."""
    return sorted(_VARYING.sub("N", line).rstrip() for line in lines)


def test_the_picture_of_a_run_shows_what_readme_does() -> None:
    hsup = str(Path(sys.executable).with_name("hsup"))
    made = screenshot.picture(screenshot.record(hsup, seconds_of_work=1))
    kept = screenshot.PICTURE.read_text()
    assert masked(screenshot.lines(made)) == masked(screenshot.lines(kept))
    assert "worker.1 was killed by SIGKILL, restarts now" in kept


def test_the_picture_needs_nothing_from_elsewhere() -> None:
    addresses = re.findall(r"https?://[^\s\"<)]+", screenshot.PICTURE.read_text())
    assert {one.split("/")[2].split(":")[0] for one in addresses} == {
        "www.w3.org",
        "localhost",
        "127.0.0.1",
    }
