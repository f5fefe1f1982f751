"""Require the package of the published messages, which not every installation has."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec

from hsup.errors import UsageError

_PACKAGE = "opentelemetry.proto"
_DISTRIBUTION = "opentelemetry-proto"
#: What the extra "otlp" of this package asks for.
_LEAST = "1.36"


def require_messages() -> None:
    """Raise UsageError unless protobuf's messages are installed; this does not load them."""
    try:
        is_there = find_spec(_PACKAGE) is not None
    except ModuleNotFoundError:  # not even the package that it is in
        is_there = False
    if not is_there:
        raise _missing(", which is not installed")
    version = _installed_version()
    if version is not None and _numbers(version) < _numbers(_LEAST):
        raise _missing(f" {_LEAST} or later, and {version} is installed")


def _missing(what: str) -> UsageError:
    text = f"OpenTelemetry needs the package {_DISTRIBUTION}{what}"
    hint = f"{sys.executable} -m pip install '{_DISTRIBUTION}>={_LEAST}'"
    return UsageError(text, hint=hint)


def _installed_version() -> str | None:
    """Return the version, None if nothing tells, as with packages that are only copied."""
    from importlib.metadata import PackageNotFoundError, version  # takes long

    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the first two numbers of a version."""
    return tuple(map(int, re.findall("[0-9]+", version)[:2]))
