"""The pages of this repository, its modules, and what is written in both."""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PACKAGES = [ROOT / "hsup", *ROOT.glob("plugins/*/hsup_*")]
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
PATTERNS = ("*.md", "docs/**/*.md", "plugins/**/*.md", "bench/*.md", "examples/*/*.md")
PAGES = sorted(path for pattern in PATTERNS for path in ROOT.glob(pattern))

_FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return _FENCE.sub("", page.read_text())


def blocks(page: Path, *languages: str) -> list[str]:
    pattern = rf"^```(?:{'|'.join(languages)})\n(.*?)^```"
    return re.findall(pattern, page.read_text(), re.DOTALL | re.MULTILINE)


def docstrings(module: Path) -> str:
    """Return all docstrings of a module, one after the other."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = (node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, kinds))
    return "\n".join(filter(None, map(ast.get_docstring, nodes)))


@cache
def all_strings() -> list[str]:
    """Return all literal texts of all modules; of f-strings, with a NUL for what is filled in."""
    return [text for module in MODULES for text in _strings(module)]


def _strings(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else "\0" for one in node.values)
            yield "".join(map(str, parts))


@cache
def generated() -> Any:
    """Return what makes parts of the pages; it finds plugins that are not installed, too."""
    with _importable_docs():
        module = importlib.import_module("generated")
        for make in module.PARTS.values():  # while all plugins can be imported
            make()
        return module


@cache
def man_pages() -> Any:
    """Return what makes the manual pages."""
    with _importable_docs():
        return importlib.import_module("man_pages")


@contextmanager
def _importable_docs() -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(DOCS), *map(str, ROOT.glob("plugins/hsup-*"))]
    try:
        yield
    finally:
        sys.path[:] = before
