"""Describe how a dyno is started, for `hsup doctor --explain`; no engine is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hsup.model import DynoSpec
from hsup_driver_docker.containers import container
from hsup_driver_docker.containers.container import ContainerOptions
from hsup_driver_docker.images.image import Image

#: Stands for an image that is not built.
_IMAGE = Image("IMAGE")


def explain(spec: DynoSpec, stack: str, options: ContainerOptions) -> Iterator[str]:
    """Yield the steps that start a dyno, with its container's options as in the Engine API.

    `stack` is the image of its stack. The slug must not be an image itself.
    """
    slug = f", with {spec.slug.location} in /app" if spec.slug else ""
    yield f"build an image from {stack}{slug}, unless there is one"
    yield "create a container with the options below"
    made = container.body(spec, _IMAGE, options)
    host = made.pop("HostConfig")
    if options.size.is_dedicated:
        host["CpusetCpus"] = f"{options.size.cpus} of the engine's cpus"
    for name, value in {**made, **host}.items():
        if value:
            yield f"with {name} {json.dumps(value)}"
    yield "attach to its output"
    yield "start it"
