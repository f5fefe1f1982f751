"""The labels by which hsup knows the containers of dynos; those of images are in `images.store`."""

from __future__ import annotations

import os

#: The label with the owner of a container: REGISTRY/INSTANCE, see `instances`. hsup leaves
#: containers without it, or with that of another registry, alone.
OWNER = "hsup.owner"
APP, RELEASE, DYNO, SPEC = "hsup.app", "hsup.release", "hsup.dyno", "hsup.spec"
#: The label with the name of the container. A container that somebody else made from an image of
#: it has the same label, but another name.
NAME = "hsup.name"


def new_token() -> str:
    """Return unique hexadecimal digits."""
    return os.urandom(6).hex()
