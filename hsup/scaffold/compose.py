"""Guess process types from a file of Docker Compose."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from hsup.scaffold.guess import Files, Guess

#: What the name of a process type may not have.
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")

_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")


def compose(files: Files) -> Guess | None:
    """Guess from its services: those with a command are process types, images by themselves not."""
    found = next((name for name in _NAMES if files.has(name)), None)
    if found is None:
        return None
    types: dict[str, str] = {}
    config: dict[str, str] = {}
    remarks = []
    for name, service in _services(files.text(found)).items():
        given = service.get("command")
        command = (
            shlex.join(map(str, given)) if isinstance(given, list) else str(given or "").strip()
        )
        if not command:
            image = service.get("image")
            what = f"no command (image {image})" if image else "neither a command nor an image"
            remarks.append(f'service "{name}" has {what}; start it separately')
            continue
        if "\n" in command:
            remarks.append(f'service "{name}" has a command of several lines: put it into a script')
            continue
        types[_UNSAFE.sub("-", str(name))] = _literal(command)
        config |= _variables(service.get("environment"))
    return Guess(found, types, config, tuple(remarks))


def _services(text: str) -> Mapping[str, Mapping[str, Any]]:
    import yaml  # slow to import, and rarely needed

    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # no date, nested too deep
        return {}
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, dict):
        return {}
    return {name: one for name, one in services.items() if isinstance(one, dict)}


def _variables(given: object) -> dict[str, str]:
    """Return variables that are given as a mapping, or as a list of `NAME=value`.

    One without a value is the caller's, which hsup passes on.
    """
    if isinstance(given, list):
        given = dict(str(one).split("=", 1) for one in given if "=" in str(one))
    if not isinstance(given, dict):
        return {}
    texts = {str(name): value for name, value in given.items() if value is not None}
    return {name: _literal(_text(value)) for name, value in texts.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(text: str) -> str:
    """Return a text as Compose passes it on: `$$` is a dollar sign."""
    return text.replace("$$", "$")
