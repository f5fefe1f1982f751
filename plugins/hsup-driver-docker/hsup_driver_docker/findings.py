"""The findings of `hsup doctor` about a Docker Engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hsup.api import Finding
from hsup.errors import DriverError
from hsup.numerals import whole_number
from hsup_driver_docker.containers.binds import recursive_outside
from hsup_driver_docker.engine.client import Engine

#: The API of Docker 20.10, whose log driver `local` and bind mounts dynos need.
_OLDEST_API = (1, 41)
#: In Podman 4.3, a commit over the Docker API ignores the settings of the image.
_UNTRIED_PODMAN = 5


def examine(engine: Engine) -> Sequence[Finding]:
    """Examine an engine, and change nothing."""
    try:
        version, information = engine.version(), engine.information()
    except DriverError as error:
        text, hint = error.args[0], error.hint or "read the log of the engine"
        return [Finding("engine", is_good=False, text=text, remedy=hint)]
    return [
        _engine(engine.endpoint.address, version),
        _api(str(version["ApiVersion"])),
        _containers(information),
        *_images(version),
        _init(information),
        _log(information),
        _limits(information),
        _binds(information),
    ]


def _engine(address: str, version: Mapping[str, Any]) -> Finding:
    name = "Podman " if _is_podman(version) else ""
    text = f"{name}{version['Version']} at {address}"
    return Finding("engine", is_good=True, text=text)


def _is_podman(version: Mapping[str, Any]) -> bool:
    parts = {str(one.get("Name")) for one in version.get("Components") or ()}
    return "Podman Engine" in parts


def _images(version: Mapping[str, Any]) -> Sequence[Finding]:
    """Report a Podman whose images a build would refuse; others show that only in a build."""
    if not _is_podman(version):
        return ()
    number = whole_number(str(version["Version"]).partition(".")[0])
    if number is None or number >= _UNTRIED_PODMAN:
        return ()
    text = "images built by this Podman lack a user, so it cannot run slugs"
    remedy = "use Docker, or run a release whose slug is docker://IMAGE"
    return [Finding("images", is_good=False, text=text, remedy=remedy)]


def _api(version: str) -> Finding:
    is_good = tuple(map(int, version.split("."))) >= _OLDEST_API
    oldest = ".".join(map(str, _OLDEST_API))
    text = version if is_good else f"API {version} is older than {oldest}"
    return Finding("api", is_good=is_good, text=text, remedy="upgrade to Docker 20.10 or later")


def _containers(information: Mapping[str, Any]) -> Finding:
    system = information["OSType"]
    if system != "linux":
        text, remedy = f"runs {system} containers; hsup needs linux", "switch to Linux containers"
        return Finding("containers", is_good=False, text=text, remedy=remedy)
    text = f"{system}, {information['Architecture']}, {information['Driver']}"
    return Finding("containers", is_good=True, text=text)


def _init(information: Mapping[str, Any]) -> Finding:
    name = information.get("InitBinary") or ""
    text = name or "no init is configured"
    remedy = "install docker-init (tini), or catatonit for Podman"
    return Finding("init", is_good=bool(name), text=text, remedy=remedy)


def _log(information: Mapping[str, Any]) -> Finding:
    """Look for the log driver that keeps the output of dynos for the next hsup."""
    drivers = (information.get("Plugins") or {}).get("Log") or ()
    is_good = "local" in drivers
    others = ", ".join(drivers) or "none"
    text = "local" if is_good else f'the log driver "local" is missing; available: {others}'
    remedy = "use Docker for `hsup start`"
    return Finding("log", is_good=is_good, text=text, remedy=remedy)


def _limits(information: Mapping[str, Any]) -> Finding:
    """Report what the engine's kernel cannot limit; dynos run without these limits."""
    wanted = {"MemoryLimit": "memory", "SwapLimit": "swap", "PidsLimit": "processes"}
    wanted |= {"CPUShares": "cpu time", "CPUSet": "cpus"}
    missing = [text for name, text in wanted.items() if not information.get(name)]
    version = f"cgroups version {information.get('CgroupVersion') or '1'}"
    if missing:
        text = f"{version}, which cannot limit {', '.join(missing)}; dynos run without"
        return Finding("limits", is_good=False, text=text)
    return Finding("limits", is_good=True, text=version)


def _binds(information: Mapping[str, Any]) -> Finding:
    """Report whether mounts below a read-only bind are read-only; either is good enough."""
    if recursive_outside(information) is not None:
        return Finding("binds", is_good=True, text="a read-only bind covers the mounts below it")
    text = "mounts below a read-only bind may stay writable"
    return Finding("binds", is_good=True, text=text)
