"""Say what installs a package where hsup is: with pip, pipx or uv, or beside a Debian package."""

from __future__ import annotations

import os
import sys

#: What pipx and uv keep in the environment of a tool that they have installed.
_PIPX_FILE = "pipx_metadata.json"
_UV_FILE = "uv-receipt.toml"
#: Where the Debian package is, and the directory of plugins that it knows (packaging/debian/rules).
_DEBIAN = "/usr/lib/hsup/"
_DEBIAN_PLUGINS = "/usr/local/lib/hsup/plugins"


def how_to_install(package: str) -> str:
    """Return what installs a package of hsup's own where hsup is.

    No index is asked for it: its name is not reserved anywhere yet.
    """
    wheel = f"dist/{package.replace('-', '_')}*.whl"
    return f"in a clone of hsup: make wheels && {_command(package, wheel, '-c dist/wheels.txt ')}"


def command_for(package: str) -> str:
    """Return the command that installs a package from an index where hsup is."""
    return _command(package, package, "")


def _command(package: str, file: str, constraint: str) -> str:
    prefix = sys.prefix
    if prefix.startswith(_DEBIAN):  # hsup itself, which plugins require, is not to be downloaded
        return f"pip install --no-deps --target {_DEBIAN_PLUGINS} {file}"
    if os.path.exists(os.path.join(prefix, _PIPX_FILE)):
        return f"pipx inject {os.path.basename(prefix)} {file}"
    if os.path.exists(receipt := os.path.join(prefix, _UV_FILE)):
        # uv removes what is not named again.
        wanted = " ".join(f"--with {one}" for one in (*_added(receipt), package))
        return f"uv tool install {constraint}{wanted} hsup"
    pip = os.path.join(prefix, "bin", "pip")
    if os.path.exists(pip):
        return f"{pip} install {file}"
    return f"uv pip install --python {prefix}/bin/python {file}"


def _added(receipt: str) -> list[str]:
    """Return what was installed beside hsup, from what uv has written."""
    import tomllib  # slow to import, rarely needed

    try:
        with open(receipt, "rb") as file:
            required = tomllib.load(file)["tool"]["requirements"]
        return [one["name"] for one in required if one["name"] != "hsup"]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # another uv's
