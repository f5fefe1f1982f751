"""Tell how drivers start a dyno, for `hsup doctor --explain`."""

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

#: By driver; None where one tells none.
Steps = Mapping[str, Sequence[str] | None]


def explain(parts: Components, names: Sequence[str]) -> Steps:
    """Return the steps of drivers; one that fails is told, and left out."""
    spec = _sample(parts)
    told: dict[str, Sequence[str] | None] = {}
    for name in names:
        try:
            told[name] = _explain(parts, name, spec)
        except HsupError as error:
            warn(f"{name}: {error}")
    return told


def numbered(told: Steps) -> Iterator[str]:
    """Yield the lines that tell steps."""
    for name, steps in told.items():
        if steps is None:
            yield f"{name}: does not tell how it starts a dyno"
            continue
        yield f"{name}:"
        width = len(str(len(steps)))
        for number, step in enumerate(steps, start=1):
            yield f"  {number:{width}}  {step}"


def _explain(parts: Components, name: str, spec: DynoSpec) -> Sequence[str] | None:
    driver = parts.named_driver(name)
    return driver.explain(spec) if isinstance(driver, Explains) else None


def _sample(parts: Components) -> DynoSpec:
    """Return the dyno to explain, which no release has."""
    release = Release(app="sample", version=1, slug=Slug(parts.settings.folder))
    return dyno_spec(
        release,
        _NAME,
        _COMMAND,
        port=BASE_PORT,
        size=parts.options.size,
        binds=parts.options.binds,
    )
