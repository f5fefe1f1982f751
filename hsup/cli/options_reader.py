"""Read options from a file of the application: `hsup.toml`, or foreman's `.foreman`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

import click

from hsup.cli.options_file import FOREMAN
from hsup.cli.shared import CALLED, SHARED_OPTIONS
from hsup.cli.start_options import START_OPTIONS
from hsup.cli.suggestions import hint
from hsup.errors import UsageError
from hsup.model import Fault
from hsup.validation import utf8_text, value_problem
from hsup.visible import warn
from hsup.yaml_reader import InvalidYaml, load

#: What options name whose values are paths, from the directory of the file.
_PATHS = {"root": "directory", "procfile": "file"}
#: What lets dynos out of their containers, or others in: the author of the code has no say in it.
_OF_USER = frozenset(
    {"binds", "pass_env", "control_socket", "drains", "follow_drains", "logplex_url"}
)
#: What foreman calls what hsup has another name for (man 1 foreman).
_OF_FOREMAN = {"timeout": "grace", "timestamp": "timestamps"}
_MEANINGLESS = frozenset({"color"})
_NOT_SETTABLE = "is not an option that a file can set"
#: How tomllib says where a fault is.
_AT_PLACE = re.compile(r"(?P<problem>.*) \(at (?P<place>line \d+, column \d+)\)")


def read(path: str) -> dict[str, tuple[str, Any]]:
    """Return the options in a file, by the names of their parameters: the key and the value.

    The keys are the long names of the options that all commands take, and of those of `hsup start`.
    Raises UsageError.
    """
    is_foreman = os.path.basename(path) == FOREMAN
    content = _yaml(path) if is_foreman else _toml(path)
    by_name = _parameters()
    options: dict[str, tuple[str, Any]] = {}
    for key, value in content.items():
        name = _OF_FOREMAN.get(key, key) if is_foreman else key
        parameter = by_name.get(name)
        if parameter is not None and parameter.name in _OF_USER:
            raise _not_in_file(path, key, parameter)
        if parameter is not None:
            options[str(parameter.name)] = key, _value(path, key, value, parameter)
        elif is_foreman and key in _MEANINGLESS:
            continue
        elif is_foreman:
            warn(f'warning: {path}: "{key}" {_NOT_SETTABLE} and is ignored')
        else:
            raise _unknown(path, key, by_name)
    return options


def _parameters() -> dict[str, click.Parameter]:
    """Return the parameters of all options that a file may have, by their long names."""
    options = (
        (option.removeprefix("--"), parameter)
        for parameter in (*SHARED_OPTIONS, *START_OPTIONS)
        for option in parameter.opts
        if option.startswith("--")
    )
    return dict(options)


def _toml(path: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(_content(path))
    except (ValueError, RecursionError) as error:
        where = _AT_PLACE.fullmatch(str(error))
        problem = f"{where['place']}: {where['problem']}" if where else str(error)
        hint = "write lines such as port = 5000"
        raise UsageError(f"cannot read {path}: {problem}", hint=hint) from error


def _yaml(path: str) -> dict[str, Any]:
    must = "must be lines such as port: 5000"
    try:
        content = load(_content(path))
    except InvalidYaml as error:
        place = "" if error.line is None else f"line {error.line}: "
        raise UsageError(f"cannot read {path}: {place}{must}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UsageError(f"cannot read {path}: {must}")
    return {key if isinstance(key, str) else _shown(key): value for key, value in content.items()}


def _content(path: str) -> str:
    """Return the text of a file. Raises UsageError."""
    try:
        with open(path, "rb") as file:
            text = utf8_text(file.read())
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if isinstance(text, Fault):
        raise UsageError(f"cannot read {path}: {text}")
    return text


def _value(path: str, key: str, value: object, parameter: click.Parameter) -> object:
    """Return the value of a parameter, converted as if it had been typed. Raises UsageError."""
    if isinstance(parameter, click.Option) and parameter.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f'{path}: "{key}" must be true or false, got {_shown(value)}')
        return value
    typed: object = [_text(path, key, one) for one in value] if isinstance(value, list) else None
    if typed is None:
        typed = [_text(path, key, value)] if parameter.multiple else _text(path, key, value)
    elif not parameter.multiple:
        raise UsageError(f'{path}: "{key}" must be a single value, got a list')
    ctx = click.Context(click.Command("hsup"))
    ctx.meta[CALLED] = f'{path}: "{key}"'
    try:
        converted = parameter.type_cast_value(ctx, typed)
    except click.BadParameter as error:
        raise UsageError(f'{path}: "{key}": {error.message}') from error
    directory = os.path.dirname(path)
    if parameter.name in _PATHS:
        return _path(path, key, str(converted))
    return _paths(directory, converted) if parameter.name == "env_files" else converted


def _text(path: str, key: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise UsageError(f'{path}: "{key}" must be a string or a number, got {_shown(value)}')
    text = value if isinstance(value, str) else _number(value)
    if problem := value_problem(text):
        raise UsageError(f'{path}: "{key}" {problem}')
    return text


def _path(path: str, key: str, value: str) -> str:
    """Return a path from the directory of the file. Raises UsageError.

    `root`, which dynos see, must not lead out of that directory.
    """
    if not value:
        raise UsageError(f'{path}: "{key}" must name a {_PATHS[key]}, got ""')
    directory = os.path.dirname(path)
    led_to = os.path.join(directory, value)
    if key == "root":
        top = os.path.realpath(directory)
        if os.path.commonpath((top, os.path.realpath(led_to))) != top:
            text = f'{path}: "root" must not lead out of the directory of the file, got "{value}"'
            raise UsageError(text, hint="use --root or HSUP_ROOT")
    return led_to


def _paths(directory: str, values: object) -> tuple[tuple[str, ...], ...]:
    """Return paths, several of which one value may have, with commas between them.

    A tuple is not split again: the directory may have a comma in its name.
    """
    assert isinstance(values, tuple)
    return tuple(
        tuple(os.path.join(directory, one) for one in str(value).split(",") if one)
        for value in values
    )


def _shown(value: object) -> str:
    """Return a value for a message: of one with others in it, only what it is."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return _number(value)
    kinds: Mapping[type, str] = {dict: "a table", list: "a list", type(None): "nothing"}
    kind = kinds.get(type(value), f"a {type(value).__name__}")
    return f'"{value}"' if isinstance(value, str) else kind


def _number(value: float) -> str:
    try:
        return str(value)
    except ValueError:  # Python writes at most 4300 digits
        return "a number of thousands of digits"


def _not_in_file(path: str, key: str, parameter: click.Parameter) -> UsageError:
    text = f'{path}: "{key}" is not taken from a file, as this one comes with the code'
    return UsageError(text, hint=f"use --{key} or {parameter.envvar}")


def _unknown(path: str, key: str, parameters: Mapping[str, click.Parameter]) -> UsageError:
    names = [name for name, parameter in parameters.items() if parameter.name not in _OF_USER]
    return UsageError(f'{path}: "{key}" {_NOT_SETTABLE}', hint=hint(key, names))
