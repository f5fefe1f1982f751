"""systemd accepts the unit that the guide shows, and hsup the command line in it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documents.pages import DOCS

UNIT, *_ = re.findall(r"```ini\n(.*?)```", (DOCS / "guides/systemd.md").read_text(), re.DOTALL)


def test_systemd_knows_all_that_the_unit_says(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze, which verifies units, is not installed")
    unit = tmp_path / "hsup.service"
    unit.write_text(UNIT.replace("/opt/hsup/bin/hsup", "/bin/true"))
    verify = ["systemd-analyze", "verify", "--man=no", str(unit)]
    told = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert str(unit) not in told.stderr  # of a line that it does not know, it says where
    assert "hsup.service" not in told.stderr


def test_a_wrong_line_of_a_unit_is_found(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze, which verifies units, is not installed")
    unit = tmp_path / "hsup.service"
    unit.write_text(UNIT.replace("/opt/hsup/bin/hsup", "/bin/true") + "Dellegate=yes\n")
    verify = ["systemd-analyze", "verify", "--man=no", str(unit)]
    told = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "hsup.service" in told.stderr
