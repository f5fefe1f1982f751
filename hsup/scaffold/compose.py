"""Guess process types from a file of Docker Compose."""

from __future__ import annotations

import re
import shlex
from collections.abc import Container, Iterator, Mapping
from datetime import date
from typing import Any

from hsup.scaffold.compose_port import Reach, with_port
from hsup.scaffold.guess import CONTROL, Files, Guess
from hsup.validation import type_problem, value_problem
from hsup.yaml_reader import load

#: What the name of a process type may not have.
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
#: Names of variables that stand in `.env` without quotes.
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

#: The host in a URL, whose user and password may stand before it.
_HOST = re.compile(r"://(?:[^/@\s]*@)?([\w.-]+)")
_HOST_AND_PORT = re.compile(r"([\w.-]+)(:\d+)?")

_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")


def compose(files: Files) -> Guess | None:
    """Guess from its services: those with a command are process types, images by themselves not."""
    found = next((name for name in _NAMES if files.has(name)), None)
    if found is None:
        return None
    types: dict[str, str] = {}
    config: dict[str, str] = {}
    remarks: list[str] = []
    text = files.text(found)
    services = _services(files, found, text)
    for name, service in services.items():
        try:
            type_name, command = _type_name(name, types), _command(service)
        except ValueError as error:
            remarks.append(f'service "{name}" {error}')
            continue
        reach = Reach(name, frozenset(_published(service)), "build" in service, text)
        types[type_name], told = with_port(command, reach)
        remarks += [f'service "{name}" {told}'] if told else []
        for key, value in _variables(service.get("environment")):
            if value is not None and _VARIABLE.fullmatch(key) and not value_problem(value):
                config[key] = value
                if host := next(filter(services.__contains__, _hosts(key, value)), None):
                    told = f'has the host "{host}" in "{key}", which exists in Compose alone'
                    remarks.append(f'service "{name}" {told}: name another one in .env')
            else:
                told = f'has a variable "{key}" that .env cannot have: it is left out'
                remarks.append(f'service "{name}" {told}')
    return Guess(found, types, config, tuple(remarks))


def _type_name(service: str, taken: Container[str]) -> str:
    """Return the process type of a service. Raises ValueError if it cannot have one."""
    name = _UNSAFE.sub("-", service).lstrip("-")
    if problem := type_problem(name):
        raise ValueError(f"is left out: its name {problem}")
    if name in taken:
        raise ValueError(f'is left out: another one is "{name}" in the Procfile, too; rename it')
    return name


def _command(service: Mapping[str, Any]) -> str:
    """Return the command of a service. Raises ValueError if it has none for a Procfile."""
    given = service.get("command")
    words = given if isinstance(given, list) else ["" if given is None else given]
    texts = [text for word in words if (text := _text(word)) is not None]
    command = _literal(shlex.join(texts) if isinstance(given, list) else "".join(texts).strip())
    if len(texts) < len(words) or value_problem(command):
        raise ValueError("has a command that is no text: write it into the Procfile")
    if CONTROL.search(command):
        raise ValueError("has a command of several lines: put it into a script")
    if not command:
        image = _text(service.get("image") or "")
        what = f"no command (image {image})" if image else "neither a command nor an image"
        raise ValueError(f"has {what}; start it separately")
    return command


def _published(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ports of a service that others may connect to, as its command knows them."""
    for key in ("ports", "expose"):
        listed = service.get(key)
        for one in listed if isinstance(listed, list) else ():
            target = _text(one.get("target") if isinstance(one, dict) else one)
            yield (target or "").rpartition(":")[2].partition("/")[0]


def _hosts(key: str, value: str) -> Iterator[str]:
    """Yield the hosts that the value of a variable names, as far as that is certain."""
    yield from _HOST.findall(value)
    if match := _HOST_AND_PORT.fullmatch(value):
        host, port = match.groups()
        if port or "HOST" in key.upper():
            yield host


def _services(files: Files, name: str, text: str) -> Mapping[str, Mapping[str, Any]]:
    try:
        content = load(text)
    except ValueError as error:
        files.faults[name] = f"{name}: must be YAML: {error}"
        return {}
    services = content.get("services") if isinstance(content, dict) else None
    if not isinstance(services, dict):
        return {}
    named = ((_text(name), one) for name, one in services.items())
    return {name: one for name, one in named if name is not None and isinstance(one, dict)}


def _variables(given: object) -> Iterator[tuple[str, str | None]]:
    """Yield variables that are given as a mapping, or as a list of `NAME=value`.

    One without a value is the caller's, which hsup passes on. Yield None for what is no text.
    """
    if isinstance(given, list):
        texts = (one for one in given if isinstance(one, str) and "=" in one)
        given = dict(one.split("=", 1) for one in texts)
    if not isinstance(given, dict):
        return
    for name, value in given.items():
        key, text = _text(name), _text(value)
        if key is not None and value is not None:
            yield key, None if text is None else _literal(text)


def _text(value: object) -> str | None:
    """Return a scalar as Compose passes it on, None for what is no scalar."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value) if isinstance(value, str | int | float | date) else None
    except ValueError:  # Python writes no number of more than 4300 digits
        return None


def _literal(text: str) -> str:
    """Return a text as Compose passes it on: `$$` is a dollar sign."""
    return text.replace("$$", "$")
