from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import pytest

from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.findings import examine

#: What Debian's podman 4.3.1 and docker 26.1 answer, as far as it is looked at.
PODMAN = (
    {"Version": "4.3.1", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]},
    {"InitBinary": "", "Plugins": {"Log": ["k8s-file", "none", "passthrough", "journald"]}},
)
DOCKER = (
    {"Version": "26.1.5+dfsg1", "ApiVersion": "1.45", "Components": [{"Name": "Engine"}]},
    {"InitBinary": "docker-init", "Plugins": {"Log": ["json-file", "local", "syslog"]}},
)
COMMON: dict[str, object] = {"OSType": "linux", "Architecture": "x86_64", "Driver": "overlay2"}
COMMON |= dict.fromkeys(("MemoryLimit", "SwapLimit", "PidsLimit", "CPUShares", "CPUSet"), True)


class Answers:
    def __init__(self, version: Mapping[str, object], information: Mapping[str, object]) -> None:
        self.endpoint = self
        self.address = "unix:///x"
        self.version = lambda: version
        self.information = lambda: {**COMMON, **information}


@pytest.mark.parametrize(
    ("answers", "engine", "missing"),
    [
        (DOCKER, "26.1.5+dfsg1 at unix:///x", []),
        (PODMAN, "Podman 4.3.1 at unix:///x", ["images", "init", "log"]),
    ],
)
def test_what_an_engine_lacks_is_told(
    answers: tuple[dict[str, str | list[dict[str, str]]], dict[str, str | dict[str, list[str]]]],
    engine: str,
    missing: list[str],
) -> None:
    found = examine(cast(Engine, Answers(*answers)))
    assert found[0].text == engine
    assert [one.subject for one in found if not one.is_good] == missing
    assert all(one.remedy for one in found if not one.is_good)
