"""`make docs` stops at a link or an anchor that leads nowhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.pages import DOCS, ROOT

BUILD = ("-m", "sphinx", "-q", "-E", "-W", "--keep-going")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a small site with the settings of the real one."""
    pytest.importorskip("sphinx", reason="Sphinx, which builds the pages, is not installed")
    shutil.copy(DOCS / "conf.py", tmp_path)
    text = (DOCS / "conf.py").read_text().replace("Path(__file__).parent\n", f'Path("{DOCS}")\n')
    (tmp_path / "conf.py").write_text(text)
    (tmp_path / "static").mkdir()
    (tmp_path / "static/hsup.css").touch()
    (tmp_path / "other.md").write_text("---\norphan: true\n---\n# Other\n\n## A part\n")
    return tmp_path


def build(site: Path, text: str) -> subprocess.CompletedProcess[str]:
    (site / "index.md").write_text(f"# Page\n\n{text}\n")
    command = [sys.executable, *BUILD, str(site), str(site / "out")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_page_whose_links_lead_somewhere_is_built(site: Path) -> None:
    built = build(site, "[one](other.md) [two](other.md#a-part)\n\n<!-- generated: sizes -->")
    assert built.returncode == 0, built.stderr
    assert "performance-2xl" in (site / "out/index.html").read_text()


@pytest.mark.parametrize("link", ["none.md", "other.md#none", "#none"])
def test_a_link_that_leads_nowhere_is_an_error(site: Path, link: str) -> None:
    built = build(site, f"[one]({link})")
    assert built.returncode
    assert "xref_missing" in built.stderr


def test_code_in_docstrings_is_set_as_code(site: Path) -> None:
    built = build(
        site, "```{eval-rst}\n.. autofunction:: hsup.hookspecs.hsup_register_drivers\n```"
    )
    assert built.returncode == 0, built.stderr
    page = (site / "out/index.html").read_text()
    assert '<div class="highlight"' in page
    assert "<blockquote>" not in page
