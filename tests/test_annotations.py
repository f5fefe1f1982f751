"""What tests share has types; the type checker is told not to insist, as tests have none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DIRECTORIES = [ROOT / "tests", ROOT / "ftest", ROOT / "bench", *ROOT.glob("plugins/*/tests")]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(scope: ast.AST) -> Iterator[Function]:
    """Yield the functions of a module and of its classes, not those inside of functions."""
    for one in ast.iter_child_nodes(scope):
        if isinstance(one, Function):
            yield one
        elif isinstance(one, ast.ClassDef):
            yield from functions(one)


def is_typed(function: Function) -> bool:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    typed = (one is None or one.annotation or one.arg in {"self", "cls"} for one in named)
    return function.returns is not None and all(typed)


@pytest.mark.parametrize(
    "directory", DIRECTORIES, ids=lambda directory: str(directory.relative_to(ROOT))
)
def test_all_but_tests_are_typed(directory):
    untyped = [
        f"{path.relative_to(ROOT)}:{one.lineno} {one.name}"
        for path in sorted(directory.rglob("*.py"))
        for one in functions(ast.parse(path.read_bytes()))
        if not one.name.startswith("test_") and not is_typed(one)
    ]
    assert untyped == []
