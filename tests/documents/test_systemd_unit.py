"""systemd accepts the unit that the guide shows, and the template of the Debian package."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documents.pages import DOCS, ROOT

_BLOCKS = re.findall(r"```ini\n(.*?)```", (DOCS / "guides/systemd.md").read_text(), re.DOTALL)
(UNIT,) = (one for one in _BLOCKS if "[Unit]" in one)
TEMPLATE = (ROOT / "packaging/debian/hsup@.service").read_text()
EACH = pytest.mark.parametrize(
    ("name", "unit"), [("hsup.service", UNIT), ("hsup@.service", TEMPLATE)]
)


def told(path: Path, unit: str) -> str:
    """Return what systemd says of a unit whose program is there."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze, which verifies units, is not installed")
    path.write_text(re.sub(r"(?<=ExecStart=)\S+", "/bin/true", unit))
    verify = ["systemd-analyze", "verify", "--man=no", str(path)]
    return subprocess.run(verify, capture_output=True, text=True, check=False).stderr


@EACH
def test_systemd_knows_all_that_a_unit_says(name: str, unit: str, tmp_path: Path) -> None:
    # Of a line that it does not know, it says where; of the machine's units, it may say more.
    assert name.removesuffix(".service") not in told(tmp_path / name, unit)


@EACH
def test_a_wrong_line_of_a_unit_is_found(name: str, unit: str, tmp_path: Path) -> None:
    assert name in told(tmp_path / name, unit + "Dellegate=yes\n")


def test_the_template_has_the_lines_that_the_guide_explains() -> None:
    lines = {
        line for line in UNIT.splitlines() if not line.startswith(("#", "Desc", "Exec", "Env"))
    }
    assert lines <= set(TEMPLATE.splitlines())
