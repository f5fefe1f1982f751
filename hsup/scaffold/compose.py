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
            what = f"the image {service['image']}" if service.get("image") else "nothing"
            remarks.append(f'service "{name}" runs {what} as it is: start it yourself')
            continue
        if "\n" in command:
            remarks.append(f'service "{name}" has a command of several lines: put it into a script')
            continue
        types[_UNSAFE.sub("-", str(name))] = command
        config |= _variables(service.get("environment"))
    return Guess(found, types, config, tuple(remarks))


def _services(text: str) -> Mapping[str, Mapping[str, Any]]:
    import yaml  # slow to import, and rarely needed

    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, dict):
        return {}
    return {name: one for name, one in services.items() if isinstance(one, dict)}


def _variables(given: object) -> dict[str, str]:
    """Return variables that are given as a mapping, or as a list of `NAME=value`."""
    if isinstance(given, dict):
        return {str(name): "" if value is None else str(value) for name, value in given.items()}
    if isinstance(given, list):
        pairs = (str(one).partition("=") for one in given)
        return {name: value for name, _, value in pairs}
    return {}
