"""The JSON of the platform's resources, as its schema describes it."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from hsup_source_heroku.testing.apps import (
    IMAGE_STACK,
    App,
    Drain,
    Image,
    Release,
    Slug,
    identifier,
)

#: Fields of a variant of the API, which the published schema lacks.
VARIANT_FIELD = "oci_image"

_FIRST_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - written with a Z
#: Memory in GB, and `compute`.
_SIZES = {
    "Eco": (0.5, 1),
    "Basic": (0.5, 1),
    "Standard-1X": (0.5, 1),
    "Standard-2X": (1, 2),
    "Performance-M": (2.5, 12),
    "Performance-L": (14, 46),
    "dyno-2c-1gb": (1, 2),
    "dyno-64c-1tb": (1024, 64),
}

Body = dict[str, object]


def app_body(app: App) -> Body:
    """Return an application."""
    stack = _named("stack", app.stack)
    return {
        "id": app.id,
        "name": app.name,
        **_times(0),
        **dict.fromkeys(("archived_at", "internal_routing", "organization", "team", "space")),
        **dict.fromkeys(("buildpack_provided_description", "repo_size", "slug_size")),
        "acm": False,
        "build_stack": stack,
        "generation": _named("generation", "fir" if app.stack == IMAGE_STACK else "cedar"),
        "git_url": f"https://git.heroku.com/{app.name}.git",
        "maintenance": False,
        "owner": _owner(),
        "region": _named("region", "us"),
        "released_at": _moment(app.releases[-1].version) if app.releases else None,
        "stack": stack,
        "web_url": f"https://{app.name}.herokuapp.com/",
    }


def release_body(app: App, release: Release, *, with_image: bool) -> Body:
    """Return a release, which has its image only in a variant of the API."""
    slug, image = ({"id": one.id} if one else None for one in (release.slug, release.image))
    artifacts = [{"type": "slug", **slug}] if slug else []
    artifacts += [{"type": "oci-image", **image}] if image else []
    return {
        **_times(release.version),
        "id": release.id,
        "version": release.version,
        "status": release.status,
        "description": release.description,
        "current": release is app.current,
        "slug": slug,
        "artifacts": artifacts,
        "addon_plan_names": [],
        "app": {"id": app.id, "name": app.name},
        "user": _owner(),
        "output_stream_url": None,
        "eligible_for_rollback": bool(artifacts) and release.status == "succeeded",
        **({VARIANT_FIELD: image} if with_image else {}),
    }


def slug_body(app: App, slug: Slug, url: str) -> Body:
    """Return a slug, with the URL of its archive."""
    return {
        **_times(0),
        "id": slug.id,
        "blob": {"method": "get", "url": url},
        **dict.fromkeys(("buildpack_provided_description", "commit_description", "deleted_at")),
        "checksum": slug.checksum if app.has_checksums else None,
        "commit": _commit(slug.id),
        "process_types": dict(slug.processes),
        "size": len(slug.archive),
        "stack": _named("stack", app.stack),
    }


def image_body(app: App, image: Image) -> Body:
    """Return a container image."""
    return {
        **_times(0),
        "id": image.id,
        "digest": image.digest,
        "image_repo": image.repository,
        "architecture": "amd64",
        "base_image_name": "heroku/heroku:24",
        "base_top_layer": image.digest,
        "buildpacks": [],
        "commit": _commit(image.id),
        "commit_description": "",
        "process_types": {
            name: {
                "name": name,
                "display_cmd": f"what {name} is shown as",
                "command": command,
                "working_dir": "/workspace",
                "default": name == "web",
            }
            for name, command in image.processes.items()
        },
        "stack": _named("stack", app.stack),
        "deleted_at": None,
    }


def formation_body(app: App) -> list[Body]:
    """Return the formation of the current release."""
    part = app.current and (app.current.slug or app.current.image)
    return [
        {
            **_times(0),
            "id": identifier(app.id, "formation", name),
            "app": {"id": app.id, "name": app.name},
            "type": name,
            "command": command,
            "quantity": app.quantity(name),
            "size": app.size(name),
            "dyno_size": _named("dyno-size", app.size(name)),
        }
        for name, command in (part.processes if part else {}).items()
    ]


def feature_body(name: str, *, is_enabled: bool) -> Body:
    """Return a feature of an application."""
    return {
        **_times(0),
        **_named("feature", name),
        "description": f"what {name} does",
        "display_name": name.replace("-", " "),
        "doc_url": f"https://devcenter.heroku.com/articles/{name}",
        "enabled": is_enabled,
        "feedback_email": "feedback@example.com",
        "state": "general",
    }


def drain_body(app: App, drain: Drain) -> Body:
    """Return a log drain."""
    of = {"id": app.id, "name": app.name}
    return {
        **_times(0),
        "id": identifier(app.id, "drain", drain.url),
        "addon": {**_named("addon", drain.addon), "app": of} if drain.addon else None,
        "app": of,
        "token": drain.token,
        "url": drain.url,
    }


def sizes_body() -> list[Body]:
    """Return all dyno sizes."""
    return [
        {
            **_named("dyno-size", name),
            "architecture": "amd64",
            "compute": compute,
            "cost": None,
            "dedicated": name.startswith("Performance"),
            "generation": _named("generation", "cedar"),
            "memory": memory,
            "precise_dyno_units": 1,
            "private_space_only": False,
        }
        for name, (memory, compute) in _SIZES.items()
    ]


def _named(kind: str, name: str) -> dict[str, str]:
    return {"id": identifier(kind, name), "name": name}


def _owner() -> dict[str, str]:
    return {"email": "owner@example.com", "id": identifier("account")}


def _commit(of: str) -> str:
    return hashlib.sha1(of.encode(), usedforsecurity=False).hexdigest()


def _moment(minutes: int) -> str:
    return f"{(_FIRST_DAY + timedelta(minutes=minutes)).isoformat()}Z"


def _times(minutes: int) -> dict[str, str]:
    return {"created_at": _moment(minutes), "updated_at": _moment(minutes)}
