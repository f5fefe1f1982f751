"""Describe where lines are from, as attributes of an OpenTelemetry resource.

The names are those of the semantic conventions, where these have any:
https://opentelemetry.io/docs/specs/semconv/resource/cloud-provider/heroku/
`heroku.dyno.name` is the platform's own, see Heroku OpenTelemetry Signals and Attributes in its
Dev Center; `heroku.dyno.type` is called after the field of the Platform API.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from hsup.api import LogBatch
from hsup.launch import dyno_id

#: The attribute for what the platform calls an application, whatever its release.
_APP = {"HEROKU_APP_ID": "heroku.app.id"}
#: The attributes for what the platform says about a release.
_RELEASE = {
    "HEROKU_RELEASE_CREATED_AT": "heroku.release.creation_timestamp",
    "HEROKU_SLUG_COMMIT": "heroku.release.commit",
}

#: What hsup's own lines are from as long as there is no release.
_HSUP = "hsup"


def attributes(batch: LogBatch, metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes of what a batch is from; what is not known is left out.

    `metadata` are the platform's variables of the release that runs. A dyno of an earlier release
    has none of those that describe a release.
    """
    version = None if batch.release is None else f"v{batch.release}"
    of_platform = _of_platform(batch, version, metadata)
    return {
        "service.name": batch.app or _HSUP,
        **({"service.version": version} if version else {}),
        **_of_dyno(batch.app, batch.release, batch.dyno),
        **({"cloud.provider": "heroku"} if of_platform else {}),
        **of_platform,
        "host.name": os.uname().nodename,
    }


def _of_platform(
    batch: LogBatch, version: str | None, metadata: Mapping[str, str]
) -> dict[str, str]:
    if batch.app is None or metadata.get("HEROKU_APP_NAME", batch.app) != batch.app:
        return {}
    is_running = version is not None and metadata.get("HEROKU_RELEASE_VERSION", version) == version
    names = {**_APP, **_RELEASE} if is_running else _APP
    return {name: metadata[key] for key, name in names.items() if metadata.get(key)}


@lru_cache(maxsize=1024)
def _of_dyno(app: str | None, release: int | None, dyno: str) -> Mapping[str, str]:
    """Return the attributes of a dyno; `supervisor`, `api` and so on have a name only."""
    kind, _, number = dyno.rpartition(".")
    if not (kind and number.isdecimal()):
        return {"heroku.dyno.name": dyno}
    known = {"heroku.dyno.name": dyno, "heroku.dyno.type": kind}
    if app is not None and release is not None:
        known["service.instance.id"] = dyno_id(app, release, dyno)
    return known
