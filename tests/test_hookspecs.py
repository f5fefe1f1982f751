from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from hsup import events, hookimpl, hookspecs

HOOKS = [name for name in vars(hookspecs) if name.startswith("hsup_")]
TESTS = [path for path in Path(__file__).parent.rglob("test_*.py") if path != Path(__file__)]


def test_there_are_hooks_and_tests() -> None:
    assert "hsup_register_drivers" in HOOKS
    assert any(path.name == "test_manager.py" for path in TESTS)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_an_example(hook: str) -> None:
    documentation = inspect.getdoc(getattr(hookspecs, hook)) or ""
    summary, *paragraphs = documentation.splitlines()
    assert summary.endswith(".")
    assert any(line.startswith("    ") for line in paragraphs), f"{hook} has no indented example"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_test_that_names_it(hook: str) -> None:
    assert any(hook in path.read_text() for path in TESTS), f"no test in tests/ names {hook}"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_a_plain_function(hook: str) -> None:
    assert not inspect.iscoroutinefunction(getattr(hookspecs, hook))


def test_every_event_has_a_hook_and_every_observing_hook_an_event() -> None:
    told = set(events.HOOKS.values())
    observing = {
        name for name in HOOKS if "event" in inspect.signature(vars(hookspecs)[name]).parameters
    }
    assert told == observing
    assert set(events.HOOKS) == set(events.Event.__args__)


def test_plugins_mark_their_hooks_with_what_hsup_itself_gives_them() -> None:
    assert hookimpl is hookspecs.hookimpl


def test_hsup_gives_nothing_else() -> None:
    import hsup

    with pytest.raises(AttributeError, match="module hsup has no attribute frob"):
        _ = hsup.frob
