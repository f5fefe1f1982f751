"""Explain how drivers start a dyno, for `hsup doctor --explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hsup.api import Explains
from hsup.cli.components import Components
from hsup.errors import HsupError
from hsup.model import Command, DynoName, DynoSpec, Release, Slug
from hsup.supervision.dyno_spec import dyno_spec
from hsup.supervision.ports import BASE_PORT
from hsup.visible import warn

_NAME, _COMMAND = DynoName("web", 1), Command(("./web-server",))

#: By driver; None for a driver that cannot explain itself.
Steps = Mapping[str, Sequence[str] | None]


def explain(parts: Components, names: Sequence[str]) -> Steps:
    """Return the steps of drivers; print the error of one that fails, and leave it out."""
    spec = _sample(parts)
    steps: dict[str, Sequence[str] | None] = {}
    for name in names:
        try:
            steps[name] = _explain(parts, name, spec)
        except HsupError as error:
            warn(f"{name}: {error}")
    return steps


def numbered(steps_by_driver: Steps) -> Iterator[str]:
    """Yield the lines that list the steps of each driver."""
    for name, steps in steps_by_driver.items():
        if steps is None:
            yield f"{name}: does not explain how it starts a dyno"
            continue
        yield f"{name}:"
        width = len(str(len(steps)))
        for number, step in enumerate(steps, start=1):
            yield f"  {number:{width}}  {step}"


def _explain(parts: Components, name: str, spec: DynoSpec) -> Sequence[str] | None:
    driver = parts.named_driver(name)
    return driver.explain(spec) if isinstance(driver, Explains) else None


def _sample(parts: Components) -> DynoSpec:
    """Return the spec of a made-up dyno to explain."""
    release = Release(app="sample", version=1, slug=Slug(parts.settings.directory))
    return dyno_spec(
        release,
        _NAME,
        _COMMAND,
        port=BASE_PORT,
        size=parts.options.size,
        binds=parts.options.binds,
    )
