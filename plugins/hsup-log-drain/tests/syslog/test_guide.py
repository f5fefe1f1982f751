"""The configuration in the guide is one that rsyslog takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

_GUIDE = Path(__file__).parents[4] / "docs/guides/log-drains.md"


@pytest.mark.skipif(not _GUIDE.exists(), reason="there is no clone of the repository")
def test_the_configuration_in_the_guide_is_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"```text\n([^`]*?input\([^`]*)```", _GUIDE.read_text())
    assert len(blocks) == 3
    config = tmp_path / "rsyslog.conf"
    config.write_text("".join(blocks))
    command = ("/usr/sbin/rsyslogd", "-N1", "-f", config)
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "error" not in checked.stderr.lower()
