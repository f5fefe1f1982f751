"""Run applications the way Heroku runs them, on any machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hsup.hookspecs import hookimpl as hookimpl

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl"]


def __getattr__(name: str) -> object:
    """Give plugins `hookimpl` without importing pluggy before it is needed."""
    if name != "hookimpl":
        raise AttributeError(f"module hsup has no attribute {name}")
    from hsup.hookspecs import hookimpl

    return hookimpl
