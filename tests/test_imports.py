"""What the contracts of imports cannot say: an allow-list, and who reads the environment."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBCONTAINER = ROOT / "plugins/hsup-driver-libcontainer/hsup_driver_libcontainer"
CHILD = "hsup_driver_libcontainer.child"

MODULES = sorted(
    [*(ROOT / "hsup").rglob("*.py"), *(ROOT / "plugins").glob("*/hsup_*/**/*.py")],
    key=str,
)


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}"


@pytest.mark.parametrize(
    "path", sorted((LIBCONTAINER / "child").glob("*.py")), ids=lambda p: p.name
)
def test_what_every_dyno_is_forked_from_needs_the_standard_library_and_prctl_alone(
    path: Path,
) -> None:
    allowed = sys.stdlib_module_names | {"prctl"}
    names = {
        name
        for name in imported(ast.parse(path.read_bytes()))
        if not f"{name}.".startswith(f"{CHILD}.")
    }
    assert {name for name in names if name.partition(".")[0] not in allowed} == set()


def reads_environment(path: Path) -> bool:
    nodes = ast.walk(ast.parse(path.read_bytes()))
    names = {ast.unparse(node) for node in nodes if isinstance(node, ast.Attribute)}
    return not names.isdisjoint({"os.environ", "os.environb", "os.getenv"})


def test_one_module_reads_the_environment() -> None:
    readers = {str(path.relative_to(ROOT)) for path in MODULES if reads_environment(path)}
    assert {path for path in readers if "/testing/" not in path} == {"hsup/cli/config.py"}
