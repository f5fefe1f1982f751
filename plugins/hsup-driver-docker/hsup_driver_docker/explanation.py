"""Tell in words how a dyno is started, for `hsup doctor --explain`; no engine is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator

from hsup.model import DynoSpec
from hsup_driver_docker import container
from hsup_driver_docker.container import ContainerOptions
from hsup_driver_docker.image import Image

#: What stands for the id of an image that nobody has built.
_IMAGE = Image("IMAGE")


def explain(spec: DynoSpec, stack: str, around: ContainerOptions) -> Iterator[str]:
    """Yield what is done for a dyno, with the options of its container as the Engine API has them.

    `stack` is the image of its stack; its slug is none that is an image itself.
    """
    slug = f", with {spec.slug.location} in /app" if spec.slug else ""
    yield f"build an image from {stack}{slug}, unless there is one"
    yield "create a container with the options below"
    made = container.body(spec, _IMAGE, around)
    host = made.pop("HostConfig")
    if around.size.is_dedicated:
        host["CpusetCpus"] = f"{around.size.cpus} of the engine's cpus"
    for name, value in {**made, **host}.items():
        if value:
            yield f"with {name} {json.dumps(value)}"
    yield "attach to its output"
    yield "start it"
