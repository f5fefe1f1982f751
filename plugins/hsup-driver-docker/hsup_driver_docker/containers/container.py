"""The container of a dyno, as the Engine API's ContainerCreate describes it."""

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
from hsup_driver_docker.containers.binds import mounts
from hsup_driver_docker.images.image import Image
from hsup_driver_docker.labels import APP, DYNO, OWNER, RELEASE, new_token

#: The kernel's own figure for a new cgroup, as that of a dyno with weight 1.
_SHARES = 1024
#: How the engine keeps the output of a dyno, for the next hsup, which adopts it.
_LOG = {"Type": "local", "Config": {"max-size": "10m", "max-file": "2"}}
_NO_LOG = {"Type": "none"}
_UNKNOWN_TERMINAL = "xterm"

#: The streams of hsup that are replaced by the terminal of a container.
TERMINAL_STREAMS = (0, 1)


class Terminal(NamedTuple):
    """The terminal of a dyno; `kind` is the TERM of hsup's own environment."""

    window: WindowSize
    kind: str | None


class ContainerOptions(NamedTuple):
    """The options of a container that the spec of its dyno does not decide.

    `cpus` is the set of cpus that it may use, None for all. `network` is a network of the
    engine, None for the default one. `publish` is the address of the engine's machine at which
    its port is published, None if it is not; `host_port` is the port there, None for any free
    one. With `has_input`, the dyno reads hsup's input; with `joins_outputs`, both of its outputs
    go to the same file, in order; with `is_lasting`, it outlives hsup, and the engine does not
    remove it when it has ended. `recursive_outside` comes from `binds.recursive_outside`.
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
    """Return the terminal for a container, None unless hsup has one itself."""
    if all(map(os.isatty, TERMINAL_STREAMS)):
        return Terminal(window_size(0), environ.get("TERM"))
    return None


def new_name(spec: DynoSpec) -> str:
    """Return a unique name for a container: `hsup-APP-web.1-8f3a…`."""
    app, dyno = (re.sub(r"[^a-zA-Z0-9_.]", "-", str(one)) for one in (spec.app, spec.name))
    return f"hsup-{app}-{dyno}-{new_token()}"


def port(spec: DynoSpec) -> int | None:
    """Return the port that a dyno listens on, None if the release's PORT is not a port number."""
    return port_number(str(spec.port or spec.config.get("PORT", "")))


def fingerprint(made: Mapping[str, Any]) -> str:
    """Return a digest of the result of `body`, equal for dynos that run in the same way."""
    from hashlib import sha256  # slow to import, and not needed by `hsup run`

    host = {name: value for name, value in made["HostConfig"].items() if name != "CpusetCpus"}
    labels = {name: made["Labels"][name] for name in (APP, RELEASE, DYNO)}
    content = json.dumps({**made, "HostConfig": host, "Labels": labels}, sort_keys=True)
    return sha256(content.encode("utf-8", "surrogateescape")).hexdigest()


def body(spec: DynoSpec, image: Image, options: ContainerOptions) -> dict[str, Any]:
    """Return the body of the request that makes a container."""
    return {
        "Image": image.id,
        "Labels": {
            OWNER: options.owner,
            APP: spec.app,
            RELEASE: f"v{spec.release_version}",
            DYNO: str(spec.name),
        },
        **_command(spec, image, options),
        "Env": _environment(spec, image, options.terminal),
        "AttachStdout": True,
        "AttachStderr": True,
        "AttachStdin": options.has_input,
        "OpenStdin": options.has_input or spec.input == "open",
        "StdinOnce": options.has_input,
        "Tty": options.terminal is not None,
        "ExposedPorts": {name: {} for name in _published(spec, options)},
        "HostConfig": _host_config(spec, image, options),
    }


def command(spec: DynoSpec, image: Image) -> dict[str, Any]:
    """Return the command of a container; an image that is the release keeps its entry point."""
    words = spec.command.words
    if not image.is_own:
        return {"Cmd": [*launch.start_up(spec.command)]}
    if not words:
        return {}
    return {"Cmd": ["/bin/sh", "-c", *words] if spec.command.is_shell_line else [*words]}


def _command(spec: DynoSpec, image: Image, options: ContainerOptions) -> dict[str, Any]:
    """Return the command, preceded by what an engine cannot do itself."""
    made = command(spec, image)
    if image.is_own:
        return made
    prefix = ""
    if options.terminal is not None:  # an engine sets the size only once the program runs
        window = options.terminal.window
        prefix = f"/bin/stty rows {window.rows} cols {window.columns} 2>/dev/null\n"
    elif options.joins_outputs:
        prefix = "exec 2>&1\n"
    shell, option, script, *words = made["Cmd"]
    return {"Cmd": [shell, option, prefix + script, *words]}


def _environment(spec: DynoSpec, image: Image, terminal: Terminal | None) -> list[str]:
    """Return the environment; a name without a value removes a variable of engine or image."""
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


def _published(spec: DynoSpec, options: ContainerOptions) -> dict[str, Any]:
    """Return the bindings that publish the port of the dyno on the engine's machine."""
    listens = port(spec)
    if options.publish is None or listens is None:
        return {}
    wanted = "" if options.host_port is None else str(options.host_port)
    return {f"{listens}/tcp": [{"HostIp": options.publish, "HostPort": wanted}]}


def _host_config(spec: DynoSpec, image: Image, options: ContainerOptions) -> dict[str, Any]:
    size = options.size
    config: dict[str, Any] = {
        "Init": True,
        "AutoRemove": not options.is_lasting,
        "SecurityOpt": ["no-new-privileges"],
        "Memory": size.memory,
        "MemorySwap": size.hard_limit,
        "PidsLimit": size.pids,
        "ShmSize": size.memory // 2,
        "CpuShares": _SHARES * size.weight,
        "Ulimits": [{"Name": "nofile", "Soft": OPEN_FILES, "Hard": OPEN_FILES}],
        "LogConfig": _LOG if options.is_lasting else _NO_LOG,
        "NetworkMode": options.network or "default",
        "PortBindings": _published(spec, options),
        "Mounts": mounts(spec.binds, options.recursive_outside),
    }
    if not image.is_own:
        config["CapDrop"] = ["ALL"]
    if options.cpus is not None:
        config["CpusetCpus"] = options.cpus
    return config
