"""Find the port at which a service of Docker Compose serves, which is `$PORT` in a Procfile."""

from __future__ import annotations

import re
from typing import NamedTuple

#: An address of all interfaces; or what stands before a port alone.
_PORT = re.compile(
    r"(?:(?P<address>(?:\b0\.0\.0\.0|\[::\]|(?<=[\s=])):)"
    r"|(?<!\S)(?:-p|--(?:http-|server\.)?port|-D\S*server\.port)(?:\s+|=)"
    r"|\b(?:http\.server|runserver)\s+"
    r")(?P<port>\d{2,5})(?![\w.:])"
)
#: A script in single quotes, in which its shell replaces variables, too.
_SCRIPT = re.compile(r"\b(?:ba|da)?sh -\w*c '[^']*")


class Reach(NamedTuple):
    """How a service of some name is reached: the ports that it publishes, the text of all services.

    One that is not built from code may be a database.
    """

    name: str
    published: frozenset[str]
    is_built: bool
    services: str

    def serves(self, port: str, *, is_open: bool) -> bool:
        """Tell whether a port that its command names serves users, and no other service.

        If it publishes none, that is one at all interfaces, or any of `web`.
        """
        is_web = self.name == "web"
        if f"{self.name}:{port}" in self.services or not (self.is_built or is_web):
            return False
        return port in self.published if self.published else is_open or is_web


def with_port(command: str, reach: Reach) -> tuple[str, str | None]:
    """Return the command of a service so that it serves at `$PORT`.

    If it is not certain which of its numbers that is, return it as it is, and what to tell.
    """
    found = [*_PORT.finditer(command)]
    is_open = {one["port"] for one in found if one["address"] is not None}
    ports = dict.fromkeys(one["port"] for one in found)
    served = [port for port in ports if reach.serves(port, is_open=port in is_open)]
    places = [one for one in found if one["port"] in served]
    if len(served) == 1 and all(_is_replaced_by_shell(command[: one.start()]) for one in places):
        for one in reversed(places):
            command = f"{command[: one.start('port')]}$PORT{command[one.end('port') :]}"
        return command, None
    told = f"names port {', '.join(ports)}: write $PORT where that is what it serves at"
    return command, told if ports else None


def _is_replaced_by_shell(before: str) -> bool:
    """Tell whether a shell replaces a variable that stands after the beginning of a command."""
    return before.count("'") % 2 == 0 or _SCRIPT.search(before) is not None
