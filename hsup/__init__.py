"""Run applications the way Heroku runs them, on any machine."""

from hsup.hookspecs import hookimpl

__version__ = "0.1.0"
__all__ = ["__version__", "hookimpl"]
