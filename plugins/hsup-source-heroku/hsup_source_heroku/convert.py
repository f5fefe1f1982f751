"""Turn a snapshot into a release."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hsup.model import Command, ProcessType, Release, Slug
from hsup_source_heroku.snapshot import Artifact, Quantity, Snapshot


def release(snapshot: Snapshot, archive: str) -> Release:
    """Return the release of a snapshot; `archive` is the path of its slug's archive, if any."""
    part = snapshot.part
    return Release(
        app=snapshot.app,
        version=snapshot.version,
        config=snapshot.config,
        processes=_processes(part, snapshot.formation),
        slug=Slug(part.location or archive, part.checksum) if part else None,
        stack=(part and part.stack) or snapshot.stack,
        metadata=_metadata(snapshot),
        features=frozenset(snapshot.features),
    )


def scaled_like(snapshot: Snapshot, release: Release) -> Snapshot:
    """Return a snapshot with the quantities and sizes of a release that was made from it."""
    formation = dict(snapshot.formation)
    for one in release.processes:
        asked = Quantity(one.quantity, one.size)
        if asked != formation.get(one.name, Quantity(0)):
            formation[one.name] = asked
    return msgspec.structs.replace(snapshot, formation=formation)


def _processes(part: Artifact | None, formation: Mapping[str, Quantity]) -> tuple[ProcessType, ...]:
    """Return the process types: the release has their commands, the formation their quantities."""
    types = []
    for name, words in (part.commands if part else {}).items():
        asked = formation.get(name, Quantity(0))
        types.append(ProcessType(name, Command(words), asked.quantity, asked.size))
    return tuple(types)


def _metadata(snapshot: Snapshot) -> dict[str, str]:
    """Return the platform's variables, except for those that hsup sets itself.

    HEROKU_BUILD_* belong to the feature runtime-dyno-build-metadata, the others to
    runtime-dyno-metadata (Dyno Metadata in Heroku's Dev Center).
    """
    part = snapshot.part
    url = snapshot.web_url or ""
    known = {
        "HEROKU_APP_ID": snapshot.app_id,
        "HEROKU_APP_DEFAULT_DOMAIN_NAME": url.partition("://")[2].rstrip("/"),
        "HEROKU_RELEASE_CREATED_AT": snapshot.created_at,
        "HEROKU_SLUG_COMMIT": part and part.commit,
        "HEROKU_SLUG_DESCRIPTION": snapshot.description,
        "HEROKU_BUILD_COMMIT": part and part.commit,
        "HEROKU_BUILD_DESCRIPTION": part and part.description,
    }
    return {name: value for name, value in known.items() if value}
