"""What the engine is told to make for a dyno."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hsup import launch
from hsup.model import DynoSpec
from hsup.numerals import port_number
from hsup.sizes import OPEN_FILES, Size
from hsup.terminal import WindowSize, window_size
from hsup_driver_docker.binds import mounts
from hsup_driver_docker.image import Image

#: Who a container belongs to: HOUSEHOLD/INSTANCE, see `instances`. What lacks it,
#: or has another household there, is nobody's business.
OWNER = "hsup.owner"
APP, RELEASE, DYNO, SPEC = "hsup.app", "hsup.release", "hsup.dyno", "hsup.spec"
#: A container's own name. One that somebody else made of it has the same label, and another name.
NAME = "hsup.name"

#: The kernel's own figure for a new cgroup, as that of a dyno with weight 1.
_SHARES = 1024
#: So much of a dyno's output is kept, for an hsup that takes it over.
_LOG = {"Type": "local", "Config": {"max-size": "10m", "max-file": "2"}}
_NO_LOG = {"Type": "none"}
_UNKNOWN_TERMINAL = "xterm"

#: Those of hsup's streams that a container's terminal stands for.
TERMINAL_STREAMS = (0, 1)


class Terminal(NamedTuple):
    """A terminal that a dyno gets; `kind` is what TERM says of hsup's own."""

    window: WindowSize
    kind: str | None


class ContainerOptions(NamedTuple):
    """What a dyno has besides its spec.

    `cpus` are those that it may use, None for all. `network` is the engine's that it is in,
    None for the default one. `publish` is the address of the engine's machine at which its
    port is published, None if it is not; `host_port` the port there, None for one that is
    free. `has_input` says that it reads hsup's; `joins_outputs` that both outputs go to
    one place, in order; `is_lasting` that it outlives hsup, and is not removed by the engine
    when it has ended. `recursive_outside` is where read-only paths are so with all that is
    mounted below (`binds.recursive_outside`).
    """

    owner: str
    size: Size
    cpus: str | None = None
    network: str | None = None
    publish: str | None = None
    host_port: int | None = None
    terminal: Terminal | None = None
    has_input: bool = False
    joins_outputs: bool = False
    is_lasting: bool = False
    recursive_outside: str | None = None


def terminal_of(environ: Mapping[str, str]) -> Terminal | None:
    """Return the terminal that a container gets: where input and output are hsup's."""
    if all(map(os.isatty, TERMINAL_STREAMS)):
        return Terminal(window_size(0), environ.get("TERM"))
    return None


def new_name(spec: DynoSpec) -> str:
    """Return a name that no other container has: `hsup-APP-web.1-8f3a…`."""
    app, dyno = (re.sub(r"[^a-zA-Z0-9_.]", "-", str(one)) for one in (spec.app, spec.name))
    return f"hsup-{app}-{dyno}-{new_token()}"


def new_token() -> str:
    """Return digits that nobody else has."""
    return os.urandom(6).hex()


def port(spec: DynoSpec) -> int | None:
    """Return the port that a dyno listens at, None where PORT of the release is none."""
    return port_number(str(spec.port or spec.config.get("PORT", "")))


def fingerprint(made: Mapping[str, Any]) -> str:
    """Return what tells a dyno from one that would not run just like it, of what `body` gives."""
    from hashlib import sha256  # takes long, and is not needed by `hsup run`

    host = {name: value for name, value in made["HostConfig"].items() if name != "CpusetCpus"}
    labels = {name: made["Labels"][name] for name in (APP, RELEASE, DYNO)}
    told = json.dumps({**made, "HostConfig": host, "Labels": labels}, sort_keys=True)
    return sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def body(spec: DynoSpec, image: Image, around: ContainerOptions) -> dict[str, Any]:
    """Return what makes a container, as the Engine API's ContainerCreate takes it."""
    return {
        "Image": image.id,
        "Labels": {
            OWNER: around.owner,
            APP: spec.app,
            RELEASE: f"v{spec.release_version}",
            DYNO: str(spec.name),
        },
        **_command(spec, image, around),
        "Env": _environment(spec, image, around.terminal),
        "AttachStdout": True,
        "AttachStderr": True,
        "AttachStdin": around.has_input,
        "OpenStdin": around.has_input,
        "StdinOnce": around.has_input,
        "Tty": around.terminal is not None,
        "ExposedPorts": {name: {} for name in _published(spec, around)},
        "HostConfig": _host_config(spec, image, around),
    }


def command(spec: DynoSpec, image: Image) -> dict[str, Any]:
    """Return what is executed: in an image of the release's own, as its entry point has it."""
    words = spec.command.words
    if not image.is_own:
        return {"Cmd": [*launch.start_up(spec.command)]}
    if not words:
        return {}
    return {"Cmd": ["/bin/sh", "-c", *words] if spec.command.is_shell_line else [*words]}


def _command(spec: DynoSpec, image: Image, around: ContainerOptions) -> dict[str, Any]:
    """Return the same, after what an engine cannot do."""
    made = command(spec, image)
    if image.is_own:
        return made
    before = ""
    if around.terminal is not None:  # it sizes a terminal when the program runs already
        window = around.terminal.window
        before = f"/bin/stty rows {window.rows} cols {window.columns} 2>/dev/null\n"
    elif around.joins_outputs:
        before = "exec 2>&1\n"
    shell, option, script, *words = made["Cmd"]
    return {"Cmd": [shell, option, before + script, *words]}


def _environment(spec: DynoSpec, image: Image, terminal: Terminal | None) -> list[str]:
    """Return the environment; a name alone takes away what the engine or the image sets."""
    if image.is_own:
        variables = launch.environment(spec)
        surplus: set[str] = set()
    else:
        variables = launch.dyno_environment(spec)
        surplus = {"HOSTNAME", *image.variables}
    if terminal is not None:
        variables["TERM"] = terminal.kind or _UNKNOWN_TERMINAL
        variables["COLUMNS"] = str(terminal.window.columns)
        variables["LINES"] = str(terminal.window.rows)
    given = [f"{name}={value}" for name, value in variables.items()]
    return [*given, *sorted(surplus - variables.keys())]


def _published(spec: DynoSpec, around: ContainerOptions) -> dict[str, Any]:
    """Return where on the engine's machine a port of the dyno is to be reached."""
    listens = port(spec)
    if around.publish is None or listens is None:
        return {}
    wanted = "" if around.host_port is None else str(around.host_port)
    return {f"{listens}/tcp": [{"HostIp": around.publish, "HostPort": wanted}]}


def _host_config(spec: DynoSpec, image: Image, around: ContainerOptions) -> dict[str, Any]:
    size = around.size
    config: dict[str, Any] = {
        "Init": True,
        "AutoRemove": not around.is_lasting,
        "SecurityOpt": ["no-new-privileges"],
        "Memory": size.memory,
        "MemorySwap": size.hard_limit,
        "PidsLimit": size.pids,
        "ShmSize": size.memory // 2,
        "CpuShares": _SHARES * size.weight,
        "Ulimits": [{"Name": "nofile", "Soft": OPEN_FILES, "Hard": OPEN_FILES}],
        "LogConfig": _LOG if around.is_lasting else _NO_LOG,
        "NetworkMode": around.network or "default",
        "PortBindings": _published(spec, around),
        "Mounts": mounts(spec.binds, around.recursive_outside),
    }
    if not image.is_own:
        config["CapDrop"] = ["ALL"]
    if around.cpus is not None:
        config["CpusetCpus"] = around.cpus
    return config
