"""Read an app.json: the name of the application, and quantities and sizes of its dynos.

The format is https://devcenter.heroku.com/articles/app-json-schema; only
`name` and `formation` are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from hsup.model import RELEASE_TYPE, Fault
from hsup.validation import MAX_QUANTITY, bounded_faults, line_problem

_MAX_SHOWN_LENGTH = 60
#: To find one suggestion takes as long as to read a whole file.
_MOST_SUGGESTIONS = 10


class AppJson(NamedTuple):
    """The name of the application, if there is one, and quantities and sizes by process type."""

    name: str | None = None
    quantities: Mapping[str, int] = MappingProxyType({})
    sizes: Mapping[str, str] = MappingProxyType({})


def parse(text: str) -> tuple[AppJson, tuple[Fault, ...]]:
    """Parse an app.json; return it with its faults."""
    # Not at the top: the import takes 3 ms, and many applications have no app.json.
    import json

    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return AppJson(), (Fault(place=place, problem=f"must be JSON: {error.msg.lower()}"),)
    except RecursionError:
        return AppJson(), (Fault(place="", problem="is nested too deeply"),)
    except ValueError:
        # Only int() is left in json.loads to raise it, which limits its digits.
        return AppJson(), (Fault(place="", problem="contains a number with too many digits"),)
    if not isinstance(content, dict):
        return AppJson(), (Fault(place="", problem=f"must be an object, got {_shown(content)}"),)
    return _read(content)


def size_place(process: str) -> str:
    """Return where the size of a process type is, as a fault says it."""
    return f'"size" of {_shown(process)}'


def unused_quantities(app: AppJson, known: Collection[str]) -> tuple[Fault, ...]:
    """Return a warning for every quantity of an unknown process type, or the release phase."""
    return bounded_faults(_unused_quantities(app, frozenset(known)))


def _unused_quantities(app: AppJson, known: frozenset[str]) -> Iterator[Fault]:
    suggestions = 0
    for name in app.quantities:
        if name == RELEASE_TYPE:
            problem = "is ignored: the release phase runs once for every release"
        elif name not in known:
            suggestions += 1
            suggestion = _suggestion(name, known) if suggestions <= _MOST_SUGGESTIONS else ""
            problem = f"is ignored: the Procfile has no such process type{suggestion}"
        else:
            continue
        yield Fault(place=f'"quantity" of {_shown(name)}', problem=problem, is_warning=True)


def _suggestion(name: str, known: Collection[str]) -> str:
    if len(name) > _MAX_SHOWN_LENGTH:
        return ""  # it resembles no name, and each character would take memory
    # Not at the top: the import takes as long as that of json, and only a typo needs it.
    from difflib import get_close_matches

    nearest = get_close_matches(name, known, n=1)
    return f'; did you mean "{nearest[0]}"?' if nearest else ""


def _read(content: dict[str, object]) -> tuple[AppJson, tuple[Fault, ...]]:
    quantities: dict[str, int] = {}
    sizes: dict[str, str] = {}
    faults: list[Fault] = []
    name = _read_name(content.get("name"))
    if isinstance(name, Fault):
        faults.append(name)
        name = None
    for process, value in _read_formation(content.get("formation", {})):
        if isinstance(value, Fault):
            faults.append(value)
        elif isinstance(value, int):
            quantities[process] = value
        else:
            sizes[process] = value
    return AppJson(name=name, quantities=quantities, sizes=sizes), bounded_faults(faults)


def _read_name(name: object) -> str | Fault | None:
    if name is None:
        return None
    if _is_line(name):
        return name
    problem = f"must be a line of text, got {_shown(name)}; it is ignored"
    return Fault(place='"name"', problem=problem, is_warning=True)


def _read_formation(formation: object) -> Iterator[tuple[str, int | str | Fault]]:
    """Yield the quantity and the size of every process type, or a fault, with its name."""
    if not isinstance(formation, dict):
        problem = f"must be an object, got {_shown(formation)}"
        yield "", Fault(place='"formation"', problem=problem)
        return
    for process, entry in formation.items():
        if not isinstance(entry, dict):
            place = f'"formation" of {_shown(process)}'
            yield process, Fault(place=place, problem=f"must be an object, got {_shown(entry)}")
            continue
        if "quantity" in entry:
            yield process, _read_quantity(process, entry["quantity"])
        if "size" in entry:
            yield process, _read_size(process, entry["size"])


def _read_quantity(process: str, quantity: object) -> int | Fault:
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 0:
        expected = "0 or more"
    elif quantity > MAX_QUANTITY:
        expected = f"{MAX_QUANTITY} or less"
    else:
        return quantity
    return Fault(
        place=f'"quantity" of {_shown(process)}',
        problem=f"must be a whole number, {expected}, got {_shown(quantity)}",
    )


def _read_size(process: str, size: object) -> str | Fault:
    if _is_line(size):
        return size
    problem = f"must be the name of a dyno size, got {_shown(size)}"
    return Fault(place=size_place(process), problem=problem)


def _is_line(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value != "" and line_problem(value) is None


def _shown(value: object) -> str:
    """Return a value as JSON in ASCII, shortened if it is long."""
    import json

    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    shown = json.dumps(value)
    return shown if len(shown) <= _MAX_SHOWN_LENGTH else f"{shown[:_MAX_SHOWN_LENGTH]}…"
