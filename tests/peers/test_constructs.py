"""What hsup makes of constructs that programs read differently."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsup_source_procfile.dotenv_file import parse
from hsup_source_procfile.text_file import read_text
from tests.peers.constructs import CONSTRUCTS, FAILS, Construct


@pytest.mark.parametrize("construct", CONSTRUCTS, ids=lambda one: one.shown)
def test_hsup_reads_it_as_the_table_says(construct: Construct, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(construct.text, encoding="utf-8", newline="")
    text = read_text(str(path))
    assert isinstance(text, str)
    config, faults = parse(text)
    is_faulty = any(not fault.is_warning for fault in faults)
    assert (FAILS if is_faulty else config.get("A")) == construct.hsup
