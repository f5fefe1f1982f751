"""What pages and docstrings name in backticks exists: modules, what is in them, and files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.documents.pages import (
    MODULES,
    PACKAGES,
    PAGES,
    ROOT,
    all_strings,
    docstrings,
    name_of,
    prose,
)

CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
NAME = re.compile(r"hsup(?:_\w+)?(?:\.\w+)+")
FILE = re.compile(r"(?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|yml|yaml|c)")
OWN_FILE = re.compile(r"(?<![\w/.-])(?:bench|docs|examples|ftest|tests)/[\w./-]+\.(?:py|md|c)\b")
#: Files of users, of other programs, and of the plugin that a page makes.
ELSEWHERE = {
    "compose.yaml",
    "hsup.toml",
    "hsup_driver_nice/__init__.py",
    "hsup_driver_nice/driver.py",
    "hsup_driver_nice/hooks.py",
    "manage.py",
    "manifest.yml",
    "test_nice_driver.py",
}


def wrong_names(text: str, where: str) -> Iterator[str]:
    for code in CODE.findall(text):
        word = code.removesuffix("()")
        if FILE.fullmatch(word):
            if word not in ELSEWHERE | ends_of_paths():
                yield f"{where}: there is no file `{code}`"
        elif NAME.fullmatch(word) and not is_there(word) and word not in all_strings():
            yield f"{where}: `{code}` does not exist"


@cache
def ends_of_paths() -> set[str]:
    """Return the path of every file of the repository from each directory on, down to its name."""
    directories = (".ci", "bench", "docs", "examples", "ftest", "hsup", "plugins", "tests")
    found = {
        path
        for directory in directories
        for path in (ROOT / directory).rglob("*")
        if path.is_file()
    }
    found |= {path for path in ROOT.iterdir() if path.is_file()}
    parts = [path.relative_to(ROOT).parts for path in found]
    return {"/".join(one[index:]) for one in parts for index in range(len(one))}


def is_there(dotted: str) -> bool:
    """Tell whether `hsup.x.y` is a module, or what a module has, or what a class of it has."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        if (module := module_at(*parts[:length])) is not None:
            return all(one in names_in(module) for one in parts[length:])
    return False


def module_at(package: str, *rest: str) -> Path | None:
    directory = next((one for one in PACKAGES if one.name == package), None)
    if directory is None:
        return None
    path = directory.joinpath(*rest)
    choices = (path / "__init__.py", path.parent / f"{path.name}.py")
    return next((one for one in choices if one.is_file()), None)


@cache
def names_in(module: Path) -> set[str]:
    """Return the names that a module, or a class in it, defines or imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                found.add(name)
            case ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {(one.asname or one.name).partition(".")[0] for one in names}
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
    return found


def test_pages_and_modules_are_found() -> None:
    assert {"README.md", "docs/index.md", "plugins/README.md"} <= set(map(name_of, PAGES))
    assert len(MODULES) > 200


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_names_exists(page: Path) -> None:
    assert not list(wrong_names(prose(page), name_of(page)))


def test_what_docstrings_name_exists() -> None:
    assert not [text for path in MODULES for text in wrong_names(docstrings(path), name_of(path))]


def test_files_that_the_code_names_exist() -> None:
    """In comments and docstrings, with backticks or without."""
    named = {path for module in MODULES for path in OWN_FILE.findall(module.read_text())}
    assert named
    assert not {path for path in named if not (ROOT / path).exists()}


def test_a_name_that_does_not_exist_is_found() -> None:
    text = "`hsup.model.Release`, `hsup.model.Relaese`, `hsup/model.py`, `hsup/modle.py`"
    assert list(wrong_names(text, "x")) == [
        "x: `hsup.model.Relaese` does not exist",
        "x: there is no file `hsup/modle.py`",
    ]
