"""Guess the process types of `Procfile.dev` from scripts that are for development."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping
from fnmatch import fnmatchcase

from hsup.model import RELEASE_TYPE
from hsup.scaffold.guess import Files
from hsup.scaffold.languages import package_manager
from hsup.scaffold.servers import serving

_NAME = re.compile(r"\w[\w:.-]{0,127}", re.ASCII)
_WORD_OF_NAME = re.compile(r"[^:_.-]+")
_WORD_OF_LINE = re.compile(r"[^\s\"'&;|,]+")
#: Begins what a script `dev` replaces; beside a program of another language, it serves assets.
_NODE = re.compile(r"(?:npm|yarn|pnpm|bun|node)\b")
_PREFIX = re.compile(r"^(npm|yarn|pnpm|bun):")

#: What a script for development has in its name.
_DEV, _WATCH = "dev", "watch"
#: Words that the name of a process type does not need.
_PLAIN = {_DEV, _WATCH, "build"}
#: What is watched, but is no part of the application, or of the one that is developed.
_APART = {"test", "tests", "unit", "e2e", "lint", "storybook", "docs", "prod", "production"}
#: What `dev:` stands before where it is not another way to run the same.
_PARTS = {
    *("assets", "css", "esbuild", "js", "postcss", "sass", "scss", "styles", "tailwind", "ts"),
    *("admin", "api", "app", "backend", "client", "frontend", "server", "ui", "vite", "webpack"),
}
#: What serves: `dev`, `dev:web`, `start:dev`.
_SERVING = {"", "serve", "start", "web"}
#: Commands that run scripts by their names, or by patterns of them.
_RUNNERS = {"npm", "yarn", "pnpm", "bun", "run-p", "npm-run-all", "npm-run-all2", "concurrently"}


def development_types(
    files: Files, types: Mapping[str, str]
) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Return the types of a Procfile for development, and what was not understood.

    There are none if scripts add nothing to `types`. A script such as `dev` or `dev:worker` takes
    the place of the type, and those that watch are added. What a script or a type runs by itself
    is left to it.
    """
    run, scripts = package_manager(files), files.scripts()
    found = {name: line for name, line in types.items() if name != RELEASE_TYPE}
    developed = {name: scripts[name] for name in scripts if _is_for_development(name, types)}
    runs = {name: _reached(scripts, line) & developed.keys() for name, line in found.items()}
    is_final = {name for name in found if runs[name]}
    served = "web" if _NODE.match(found.get("web", "node")) else "assets"
    remarks: list[str] = []
    for script in _started(developed, set().union(*runs.values())):
        if name := _free_name(script, found, is_final, served):
            found[name], told = f"{run} run {script}", None
            if name == "web":
                found[name], told = serving(run, script, scripts)
            remarks += [told] if told else []
            is_final.add(name)
    return ({}, ()) if found.items() <= types.items() else (found, tuple(remarks))


def _started(scripts: Mapping[str, str], left: set[str]) -> list[str]:
    """Return the scripts that no other one runs, except for those that are `left`; `dev` first.

    One that does nothing but run others, such as `run-p watch:*`, leaves its place to these.
    """
    runs = {name: _reached(scripts, line) - {name} for name, line in scripts.items()}
    groups = {name for name, line in scripts.items() if _only_runs(line, runs[name])}
    left = left.union(groups, *(runs[name] for name in scripts if name not in groups))
    return sorted((name for name in scripts if name not in left), key=_DEV.__ne__)


def _is_for_development(script: str, types: Mapping[str, str]) -> bool:
    words = {*_WORD_OF_NAME.findall(script)}
    rest = words - _PLAIN
    if not _NAME.fullmatch(script) or rest & _APART:
        return False
    if _WATCH in words:
        return True
    return _DEV in words and "build" not in words and rest <= _PARTS | _SERVING | types.keys()


def _reached(scripts: Mapping[str, str], line: str) -> set[str]:
    """Return the scripts that a line runs, and those that these run."""
    reached: set[str] = set()
    to_read = [line]
    while to_read:
        new = _run_by(to_read.pop(), scripts) - reached
        reached |= new
        to_read += (scripts[name] for name in new)
    return reached


def _run_by(line: str, scripts: Iterable[str]) -> set[str]:
    """Return the scripts that a line runs, by their names or by a pattern such as `watch:*`."""
    words = _words(line)
    if not _RUNNERS.intersection(words):
        return set()
    return {name for name in scripts if any(fnmatchcase(name, word) for word in words)}


def _only_runs(line: str, scripts: set[str]) -> bool:
    """Tell whether a line has nothing but runners, options, and the names of some scripts."""
    return bool(scripts) and all(
        word in _RUNNERS
        or word == "run"
        or word.startswith("-")
        or any(fnmatchcase(name, word) for name in scripts)
        for word in _words(line)
    )


def _words(line: str) -> list[str]:
    """Return the words of a line; to `concurrently`, `npm:a` is the script `a`."""
    return [_PREFIX.sub("", word) for word in _WORD_OF_LINE.findall(line)]


def _free_name(script: str, found: Container[str], is_final: set[str], served: str) -> str | None:
    """Return the process type of a script, None for another one that serves.

    `watch:css` is `css`, and `dev` is what is `served`, as is `dev:server`. A type that is not
    `is_final` gives its place to one with `dev`, and to none that only watches.
    """
    words = _WORD_OF_NAME.findall(script)
    is_served = _WATCH not in words
    name = "-".join(word for word in words if word not in _PLAIN)
    if is_served and name in _SERVING:
        return None if served in is_final else served
    if is_served and name == "server" and served not in is_final:
        return served
    is_free = name not in (is_final if is_served else found)
    return (name or _WATCH) if is_free and name != RELEASE_TYPE else "-".join(words)
