"""Say what a person or a source has caused, in the platform's words.

The platform adds ` by user NAME`, which no source tells hsup.
"""

from __future__ import annotations

from collections.abc import Iterator

from hsup import sizes
from hsup.api import LogEvent
from hsup.events import ReleaseReceived, Scale
from hsup.model import Release
from hsup.output.lines import CAUSED, Line

_COMMIT = "HEROKU_SLUG_COMMIT"
#: How much of a commit the platform shows.
_COMMIT_DIGITS = 8


def received(event: ReleaseReceived) -> Iterator[Line]:
    """Yield the lines for a release: what it changes, then its number, then its scale.

    A change of nothing but the scale makes no release. At a start, nothing else was caused than
    the release itself.
    """
    release, previous = event.release, event.previous
    if previous is None:
        yield _created(release)
        return
    if not release.differs_in_scale_only(previous.release):
        yield from _config_changes(release, previous.release)
        yield from _deployed(release, previous.release)
        yield _created(release)
    if event.formation != previous.formation:
        yield _scaled(event)


def release_phase_started(release: Release) -> Line:
    """Return the line for a release phase that is about to start."""
    text = f"Running release v{release.version} commands"
    return Line(text, LogEvent("release_phase_started"), CAUSED)


def release_phase_failed(release: Release) -> Line:
    """Return the line for a release phase that has failed."""
    text = f"Release v{release.version} command failed"
    return Line(text, LogEvent("release_phase_failed"), CAUSED)


def _created(release: Release) -> Line:
    text = f"Release v{release.version} created"
    return Line(text, LogEvent("release_received"), CAUSED)


def _config_changes(release: Release, previous: Release) -> Iterator[Line]:
    """Yield the lines for config vars, of which only the names are told."""
    new, old = release.config, previous.config
    changed = sorted(name for name in new if name not in old or new[name] != old[name])
    removed = sorted(name for name in old if name not in new)
    for verb, names, event in (
        ("Set", changed, "config_set"),
        ("Remove", removed, "config_removed"),
    ):
        if names:
            text = f"{verb} {', '.join(names)} config vars"
            yield Line(text, LogEvent(event, facts={"config_vars": names}), CAUSED)


def _deployed(release: Release, previous: Release) -> Iterator[Line]:
    """Yield the line for other code, if its commit is known."""
    commit = release.metadata.get(_COMMIT)
    if commit and (release.slug, commit) != (previous.slug, previous.metadata.get(_COMMIT)):
        event = LogEvent("deployed", facts={"commit": commit})
        yield Line(f"Deploy {commit[:_COMMIT_DIGITS]}", event, CAUSED)


def _scaled(event: ReleaseReceived) -> Line:
    """Return the line for a formation: all its types, sorted, as the platform has them."""
    types = sorted(event.formation.items())
    scales = " ".join(f"{name}@{_scale(scale)}" for name, scale in types)
    formation = {name: {"quantity": scale.quantity, "size": _size(scale)} for name, scale in types}
    return Line(f"Scaled to {scales}", LogEvent("scaled", facts={"formation": formation}), CAUSED)


def _scale(scale: Scale) -> str:
    """Return a scale in the platform's words; a size that is not known is not made up."""
    size = _size(scale)
    return str(scale.quantity) if size is None else f"{scale.quantity}:{size}"


def _size(scale: Scale) -> str | None:
    return None if scale.size is None else sizes.platform_spelling(scale.size)
