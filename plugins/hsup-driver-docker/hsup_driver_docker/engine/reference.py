"""The grammar of the names of container images."""

from __future__ import annotations

import re

from hsup.errors import DriverError

#: That of github.com/distribution/reference, which engines and registries follow.
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_DOMAIN_PART}(?:\.{_DOMAIN_PART})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"((?:{_DOMAIN}/)?{_PATH_PART}(?:/{_PATH_PART})*)(?::{_TAG})?(?:@{_DIGEST})?"
)
_MOST_CHARACTERS = 255  # without tag and digest


def check(name: str) -> None:
    """Raise DriverError for an invalid name of an image; it may have a tag and a digest."""
    match = _REFERENCE.fullmatch(name)
    _, at, digest = name.partition("@")
    if at and not re.fullmatch(_DIGEST, digest):
        # The name is not shown, as a password may stand before the "@".
        text = 'the name of an image has an "@" without a digest after it'
        raise DriverError(text, hint="write NAME@sha256:..., and leave passwords to docker login")
    if match is None or len(match[1]) > _MOST_CHARACTERS:
        hint = "write a name such as debian:12, or registry.example.com/team/shop:v1"
        raise DriverError(f"{_quoted(name)} is not a valid image name", hint=hint)


def _quoted(name: str) -> str:
    return f'"{name}"' if name.isprintable() else ascii(name).replace("'", '"')
