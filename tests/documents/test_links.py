"""Links between pages lead somewhere, and a package index shows none to files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents.pages import PAGES, ROOT, generated, name_of, prose

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
#: What the pages that Sphinx makes of an `include` have, a git host shows at the other file.
INCLUDED = re.compile(r"```{include} (\S+)")


def broken_links(page: Path) -> Iterator[str]:
    for target in LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if target.startswith(("https://", "http://")):
            continue
        if not there.exists() or (anchor and anchor not in anchors(there)):
            yield f"{name_of(page)}: {target}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as a git host and MyST make them."""
    text = prose(page)
    for included in INCLUDED.findall(page.read_text()):
        text += prose((page.parent / included).resolve())
    for part in re.findall(r"<!-- generated: ([a-z-]+) -->", page.read_text()):
        text += generated().PARTS[part]()
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert not list(broken_links(page))


def test_a_link_that_leads_nowhere_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(globals(), "name_of", lambda path: path.name)
    (tmp_path / "other.md").write_text("## A heading, here\n")
    page = tmp_path / "page.md"
    page.write_text("[a](other.md#a-heading-here) [b](other.md#none) [c](third.md)\n")
    assert list(broken_links(page)) == ["page.md: other.md#none", "page.md: third.md"]


@pytest.mark.parametrize("page", sorted(ROOT.glob("plugins/*/README.md")), ids=name_of)
def test_the_readme_of_a_plugin_stands_by_itself(page: Path) -> None:
    assert all(one.startswith("https://") for one in LINK.findall(prose(page)))


def test_what_a_package_index_shows_of_hsup_stands_by_itself() -> None:
    pytest.importorskip("hatch_fancy_pypi_readme", reason="what makes the text is not installed")
    make = [sys.executable, "-m", "hatch_fancy_pypi_readme"]
    shown = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "pip install hsup" in shown
    assert all(one.startswith("https://") for one in LINK.findall(shown))
    assert "<!--" not in shown
    assert "make demo" not in shown
