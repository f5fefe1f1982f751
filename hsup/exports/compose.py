"""A file of Docker Compose: a service for each dyno, on the image of the release's stack.

See https://github.com/compose-spec/compose-spec.
"""

from __future__ import annotations

import os
import shlex
from typing import Any

from hsup.exports.program import Export, Exported, Program

_DEFAULT_STACK = "heroku-24"


def export(application: Exported, directory: str) -> Export:
    """Return `compose.yaml`, whose services have the application's directory as /app.

    `directory` is where it will be.
    """
    services = {str(one.name): _service(application, one) for one in application.dynos}
    release = application.release_phase
    if release is not None:
        phase = _service(application, release) | {"restart": "no"}
        for service in services.values():
            service["depends_on"] = {"release": {"condition": "service_completed_successfully"}}
        services = {"release": phase, **services}
    files = {
        "compose.yaml": f"# {application.mark('docker-compose')}\n{_yaml({'services': services})}"
    }
    path = shlex.quote(os.path.join(directory, "compose.yaml"))
    return Export(files, f"start them with: docker compose -f {path} up")


def _service(application: Exported, one: Program) -> dict[str, Any]:
    environment = {name: _literal(value) for name, value in one.environment.items()}
    service: dict[str, Any] = {
        "image": _literal(_image(application.stack)),
        "command": [_literal(word) for word in one.argv],
        "working_dir": "/app",
        "user": _user(application),
        "environment": {"HOME": "/app", **environment},
        "volumes": [{"type": "bind", "source": _literal(application.directory), "target": "/app"}],
        "init": True,
        "restart": "always",
        "stop_grace_period": f"{round(application.grace_seconds * 1000)}ms",
    }
    if (port := one.web_port) is not None:
        service["ports"] = [f"127.0.0.1:{port}:{port}"]
    return service


def _user(application: Exported) -> str:
    """Return the user by its numbers, as the image does not know the names of this machine."""
    return "{}:{}".format(*application.ids) if application.ids else application.user


def _yaml(content: dict[str, Any]) -> str:
    """Return YAML that says the same to a reader of version 1.2, such as Compose.

    PyYAML writes version 1.1, in which `1e3` and `0o14` are texts without quotes. In 1.2 they are
    numbers; each of those begins like these do.
    """
    import yaml  # slow to import, and rarely needed

    class Quoting(yaml.SafeDumper):
        def represent_str(self, data: str) -> yaml.ScalarNode:
            style = '"' if data.startswith(tuple("0123456789+-.")) else None
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    Quoting.add_representer(str, Quoting.represent_str)
    return str(yaml.dump(content, Dumper=Quoting, sort_keys=False, allow_unicode=True, width=100))


def _literal(text: str) -> str:
    """Return a text in which Compose replaces no variables."""
    return text.replace("$", "$$")


def _image(stack: str | None) -> str:
    """Return the public image of a stack: heroku-24 is heroku/heroku:24."""
    name, dash, number = (stack or _DEFAULT_STACK).partition("-")
    return f"{name}/{name}:{number}" if dash and name == "heroku" else f"{name}{dash}{number}"
