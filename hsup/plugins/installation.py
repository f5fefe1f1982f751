"""Say what installs packages where hsup is: with pip, pipx or uv, or in a directory for plugins."""

from __future__ import annotations

import os
import site
import sys

#: What pipx and uv keep in the environment of a tool that they have installed.
_PIPX_FILE = "pipx_metadata.json"
_UV_FILE = "uv-receipt.toml"
#: Has the directory for plugins where an upgrade replaces the environment that hsup is in: with the
#: Debian package and `make install` (packaging/make-release). Python adds that to its path:
#: https://docs.python.org/3/library/site.html
_PLUGINS_FILE = "plugins.pth"


def how_to_install(package: str) -> str:
    """Return what installs a package of hsup's own where hsup is.

    No index is asked for it: its name is not reserved anywhere yet.
    """
    return f"in a clone of hsup: make wheels && {_command(package, '-c dist/wheels.txt ')}"


def command_for(package: str) -> str:
    """Return the command that installs a package from an index where hsup is."""
    return _command(package, "")


def _command(package: str, constraint: str) -> str:
    import shlex  # slow to import, rarely needed

    prefix = sys.prefix
    pip = os.path.join(prefix, "bin", "pip")
    has_pip = os.path.exists(pip)
    if directory := _plugin_directory(prefix):  # hsup, which plugins require, is there already
        program = shlex.quote(pip) if has_pip else "pip"
        return (
            f"{program} install --no-deps --target {shlex.quote(directory)} {constraint}{package}"
        )
    if os.path.exists(os.path.join(prefix, _PIPX_FILE)):
        # What it is told here is what `pipx reinstall` takes again.
        told = f"--pip-args={shlex.quote(constraint.strip())} " if constraint else ""
        return f"pipx inject {told}{shlex.quote(os.path.basename(prefix))} {package}"
    if os.path.exists(receipt := os.path.join(prefix, _UV_FILE)):
        # uv removes what is not named again.
        wanted = " ".join(f"--with {one}" for one in (*_added(receipt), package))
        return f"uv tool install {constraint}{wanted} hsup"
    if has_pip:
        return f"{shlex.quote(pip)} install {constraint}{package}"
    python = shlex.quote(f"{prefix}/bin/python")
    return f"uv pip install --python {python} {constraint}{package}"


def _plugin_directory(prefix: str) -> str | None:
    """Return the directory for plugins that outlives this environment, None if it has none."""
    for packages in site.getsitepackages([prefix]):
        try:
            with open(os.path.join(packages, _PLUGINS_FILE), "rb") as file:
                return os.fsdecode(file.read().strip())
        except FileNotFoundError:
            continue
    return None


def _added(receipt: str) -> list[str]:
    """Return what was installed beside hsup, from what uv has written."""
    import tomllib  # slow to import, rarely needed

    try:
        with open(receipt, "rb") as file:
            required = tomllib.load(file)["tool"]["requirements"]
        return [one["name"] for one in required if one["name"] != "hsup"]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # another uv's
