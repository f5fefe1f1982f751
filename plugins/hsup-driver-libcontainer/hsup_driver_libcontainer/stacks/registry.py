"""Pull images from container registries with skopeo, and unpack their layers with umoci.

skopeo implements the protocol, knows the architectures and the places of credentials
(REGISTRY_AUTH_FILE, ~/.docker/config.json, credential helpers), and verifies every digest;
umoci handles whiteouts, opaque directories, hard links and extended attributes.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hsup.errors import DriverError
from hsup_driver_libcontainer.stacks.manifest import Entry, shown
from hsup_driver_libcontainer.stacks.progress import StepPrinter
from hsup_driver_libcontainer.stacks.tools import Tools

#: TLS is not required on loopback addresses, as in Docker, see https://docs.docker.com/reference/cli/dockerd/#insecure-registries.
_LOOPBACK = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?/")
_TAG = re.compile(r":[^/:]*$")
#: Go's names, which image indexes use.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
#: skopeo's name for registries, see man 5 containers-transports.
_TRANSPORT = "docker://"
_RETRIES = "3"
#: The largest size in a manifest, an int64 (OCI image-spec, descriptor.md).
_MOST_BYTES = 2**63 - 1
#: How many characters of an invalid size are shown.
_MOST_TOLD = 40
_LAYOUT_TAG = "stack"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of this machine's architecture.

    `digest` is that of the index or the image that the reference currently leads to.
    `size` is in bytes, of all layers as they are transferred.
    """

    reference: str
    digest: str
    size: int


def resolve_image(entry: Entry, tools: Tools) -> Image:
    """Ask the registry for the image of an entry. Raises DriverError."""
    tools.check("skopeo", "umoci")
    repository, reference = _references(entry)
    top = _manifest(reference, tools)
    digest = f"sha256:{hashlib.sha256(top).hexdigest()}"
    with _invalid_answers_named(reference):
        manifest = json.loads(top)
        chosen = digest
        if "manifests" in manifest:
            chosen = _choose(manifest["manifests"], entry)
            manifest = json.loads(_manifest(f"{repository}@{chosen}", tools))
        size = sum(_size(layer, reference) for layer in manifest.get("layers", ()))
    return Image(reference=f"{repository}@{chosen}", digest=digest, size=size)


def pull_image(image: Image, directory: str, tools: Tools, progress: StepPrinter) -> str:
    """Fetch an image into a directory as an OCI layout; present layers are kept.

    Returns the layout's reference, for `unpack_image`.
    """
    layout = os.path.join(directory, "layout")
    tools.run(
        "skopeo",
        "copy",
        "--quiet",
        f"--retry-times={_RETRIES}",
        f"--src-tls-verify={_wants_tls(image.reference)}",
        # umoci 0.4.7 of Debian 12 cannot read zstd.
        "--dest-compress-format=gzip",
        f"{_TRANSPORT}{image.reference}",
        f"oci:{layout}:{_LAYOUT_TAG}",
        to=f"pull {image.reference}",
        watch=lambda: progress.show(_bytes_in(layout), image.size),
    )
    return f"{layout}:{_LAYOUT_TAG}"


def unpack_layers(layout: str, root: str, tools: Tools) -> None:
    """Unpack the layers of an image into a new directory, one above the other."""
    tools.run("umoci", "raw", "unpack", "--image", layout, root, to="unpack the image's layers")


def _references(entry: Entry) -> tuple[str, str]:
    """Return the repository, and the image: by its checksum as digest, or else by its tag."""
    given = entry.image
    assert given is not None  # only images are resolved
    if entry.checksum:
        repository = _TAG.sub("", given.partition("@")[0])
        return repository, f"{repository}@{entry.checksum}"
    return _TAG.sub("", given.partition("@")[0]), given


def _manifest(reference: str, tools: Tools) -> bytes:
    return tools.run(
        "skopeo",
        "inspect",
        "--raw",
        f"--retry-times={_RETRIES}",
        f"--tls-verify={_wants_tls(reference)}",
        f"{_TRANSPORT}{reference}",
        to=f"pull {reference}",
        hint="run hsup stacks import NAME DIRECTORY to use a root file system of this machine",
    )


@contextmanager
def _invalid_answers_named(reference: str) -> Iterator[None]:
    """Raise DriverError if a registry's answer is not JSON, or not as in OCI's image-spec."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        text = f"cannot pull {reference}: the registry's answer is not an image"
        raise DriverError(text, hint="check that this is the address of an image") from error


def _size(layer: dict[str, Any], reference: str) -> int:
    """Return the size of a layer in bytes. Raises DriverError if it is invalid."""
    size = layer["size"]
    if type(size) is not int or not 0 <= size <= _MOST_BYTES:
        shown_size = json.dumps(size)[:_MOST_TOLD]
        text = f'cannot pull {reference}: layer "{layer.get("digest")}" has the size {shown_size}'
        hint = f"push the image again, with a size from 0 to {_MOST_BYTES} bytes"
        raise DriverError(text, hint=hint)
    return size


def _choose(manifests: Sequence[dict[str, Any]], entry: Entry) -> str:
    wanted = _ARCHITECTURES.get(platform.machine(), platform.machine())
    # An index may have entries without a platform, such as signatures.
    platforms = [manifest.get("platform", {}) for manifest in manifests]
    systems = [(target.get("os"), target.get("architecture")) for target in platforms]
    if ("linux", wanted) not in systems:
        others = ", ".join(sorted({str(arch) for system, arch in systems if system == "linux"}))
        raise DriverError(
            f'stack "{entry}" is not available for {wanted}, only for {others or "other systems"}',
            hint=f"use an image for {wanted} instead of {shown(entry.url)}",
        )
    return str(manifests[systems.index(("linux", wanted))]["digest"])


def _wants_tls(reference: str) -> str:
    return "false" if _LOOPBACK.match(reference) else "true"


def _bytes_in(layout: str) -> int:
    sizes = 0
    for directory, _, names in os.walk(layout):
        for name in names:
            try:
                sizes += os.lstat(os.path.join(directory, name)).st_size
            except FileNotFoundError:
                # skopeo has just given it its final name.
                continue
    return sizes
