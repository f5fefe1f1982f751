"""Find the Docker Engine as every Docker tool does."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import NamedTuple

from hsup.directories import home
from hsup.errors import UsageError

HOST = "DOCKER_HOST"
DEFAULT_HOST = "unix:///var/run/docker.sock"
_CONTEXT, _CONFIG = "DOCKER_CONTEXT", "DOCKER_CONFIG"
_TLS_VERIFY, _CERT_PATH = "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"

#: The ports that Docker has registered with IANA, without and with TLS.
_PORT, _TLS_PORT = 2375, 2376


class Certificates(NamedTuple):
    """Paths of the files for TLS: the authority's certificate, and hsup's own with its key.

    With `verify`, the engine's certificate must be signed by the authority.
    """

    authority: str | None = None
    own: tuple[str, str] | None = None
    verify: bool = True


class Endpoint(NamedTuple):
    """The address of an engine, `unix://` or `tcp://`, with certificates if it speaks TLS."""

    address: str
    certificates: Certificates | None = None

    @property
    def path(self) -> str | None:
        """Return the path of its socket, None if it is reached by TCP."""
        return self.address.removeprefix("unix://") if self.address.startswith("unix:") else None

    @property
    def host_port(self) -> tuple[str, int]:
        """Return its host and TCP port. Raises UsageError."""
        from urllib.parse import urlsplit

        parts = urlsplit(self.address)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if not parts.hostname or port == -1:
            raise UsageError(
                f'"{self.address}" is not the address of a Docker Engine', hint=_EXAMPLES
            )
        return parts.hostname, port or (_TLS_PORT if self.certificates else _PORT)


_EXAMPLES = "write unix:///var/run/docker.sock or tcp://127.0.0.1:2375"


def find(environ: Mapping[str, str]) -> Endpoint:
    """Return the engine that DOCKER_HOST, DOCKER_CONTEXT or the current context names.

    Raises UsageError for an unknown context, or an address that hsup cannot use.
    """
    if address := environ.get(HOST):
        endpoint = Endpoint(address, _certificates(environ))
    elif (context := environ.get(_CONTEXT) or _current_context(environ)) not in {"", "default"}:
        endpoint = _of_context(context, f"{_config_directory(environ)}/contexts")
    else:
        endpoint = Endpoint(DEFAULT_HOST)
    _check(endpoint)
    return endpoint


def _check(endpoint: Endpoint) -> None:
    scheme = endpoint.address.partition("://")[0]
    if scheme == "ssh":
        hint = "forward its socket: ssh -NL /tmp/docker.sock:/var/run/docker.sock HOST, "
        hint += f"and set {HOST}=unix:///tmp/docker.sock"
        raise UsageError(
            f"hsup cannot reach a Docker Engine over ssh: {endpoint.address}", hint=hint
        )
    if scheme not in {"unix", "tcp", "http", "https"}:
        raise UsageError(
            f'"{endpoint.address}" is not the address of a Docker Engine', hint=_EXAMPLES
        )
    if scheme != "unix":
        _ = endpoint.host_port


def _certificates(environ: Mapping[str, str]) -> Certificates | None:
    """Return what DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for; either turns TLS on."""
    verify, directory = bool(environ.get(_TLS_VERIFY)), environ.get(_CERT_PATH)
    if environ.get(HOST, "").startswith("unix:") or not (verify or directory):
        return None
    return _in_directory(directory or _config_directory(environ), verify=verify)


def _in_directory(directory: str, *, verify: bool) -> Certificates:
    own = (f"{directory}/cert.pem", f"{directory}/key.pem")
    authority = f"{directory}/ca.pem"
    return Certificates(
        authority=authority if os.path.exists(authority) else None,
        own=own if all(map(os.path.exists, own)) else None,
        verify=verify,
    )


def _of_context(name: str, directory: str) -> Endpoint:
    """Read a context that `docker context create` has stored. Raises UsageError.

    The SDK is slow to import, and finds no context without a config.json.
    """
    from hashlib import sha256

    key = sha256(name.encode()).hexdigest()
    hint = "list the contexts with docker context ls"
    try:
        with open(f"{directory}/meta/{key}/meta.json", encoding="utf-8") as file:
            settings = json.load(file)["Endpoints"]["docker"]
        address, is_unverified = str(settings["Host"]), bool(settings.get("SkipTLSVerify"))
    except FileNotFoundError:
        raise UsageError(f'there is no Docker context "{name}"', hint=hint) from None
    except OSError as error:
        text = f'cannot read the Docker context "{name}": {error.strerror}'
        raise UsageError(text, hint=hint) from error
    except (ValueError, KeyError, TypeError) as error:
        hint = "make it again with docker context create, or choose another one"
        raise UsageError(f'the Docker context "{name}" is damaged', hint=hint) from error
    tls = f"{directory}/tls/{key}/docker"
    has_tls = os.path.isdir(tls)
    return Endpoint(address, _in_directory(tls, verify=not is_unverified) if has_tls else None)


def _current_context(environ: Mapping[str, str]) -> str:
    """Return the context that `docker context use` has chosen, "" for none."""
    path = f"{_config_directory(environ)}/config.json"
    try:
        with open(path, encoding="utf-8") as file:
            return str(json.load(file).get("currentContext") or "")
    except (OSError, ValueError, AttributeError):
        return ""  # docker login reports it; dynos do not need the file


def _config_directory(environ: Mapping[str, str]) -> str:
    return environ.get(_CONFIG) or os.path.join(home(environ), ".docker")
