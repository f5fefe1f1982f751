"""Pull and build images with Docker's SDK, which also finds credentials.

All methods block. The SDK is slow to import.
"""

from __future__ import annotations

import io
import logging
import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.utils import parse_repository_tag
from requests.adapters import HTTPAdapter

from hsup.archives.progress import bar
from hsup.cancellation import require_wanted
from hsup.errors import DriverError
from hsup.threads import start_thread
from hsup_driver_docker.engine.client import NOT_FOUND
from hsup_driver_docker.engine.connection import EngineError, EngineUnreachable, tls_context
from hsup_driver_docker.engine.endpoint import Certificates, Endpoint
from hsup_driver_docker.images import layer
from hsup_driver_docker.labels import NAME, OWNER, new_token

if TYPE_CHECKING:
    from ssl import SSLContext

    from hsup_driver_docker.engine.client import Engine

logger = logging.getLogger(__name__)

_Event = TypeVar("_Event")

#: How many symbolic links the kernel follows (man 7 path_resolution).
_MOST_LINKS = 40
#: An engine answers an upload once it has written all of it.
_TIMEOUT_SECONDS = 900
#: How often a pull checks whether it is still wanted.
_LOOK_SECONDS = 0.2


class Sdk:
    """Docker's SDK for one engine."""

    def __init__(self, engine: Engine) -> None:
        """Connect. Raises EngineUnreachable."""
        self._engine = engine
        self._containers: set[str] = set()  # those in which images are being built
        self._is_closed = False
        endpoint = engine.endpoint
        with _as_hsup_errors(f"reach the Docker Engine at {endpoint.address}"):
            self._client = docker.APIClient(
                base_url=_address(endpoint),
                version=str(engine.version()["ApiVersion"]),
                timeout=_TIMEOUT_SECONDS,
                tls=_tls(endpoint.certificates),
            )
        # Else REQUESTS_CA_BUNDLE and proxies, which are for the web, would take precedence.
        self._client.trust_env = False
        if endpoint.certificates is not None:
            self._client.mount("https://", _TlsAdapter(tls_context(endpoint.certificates)))

    def close(self) -> None:
        """Cancel builds in other threads, and close the connections."""
        self._is_closed = True
        for container in tuple(self._containers):
            try:
                self._engine.remove(container)
            except DriverError as error:
                logger.info("cannot remove container %s: %s", container, error)
        self._client.close()

    def pull(self, name: str) -> None:
        """Fetch an image from its registry, with the credentials of `docker login`."""
        logger.info("pulling the image %s", name)
        repository, tag = parse_repository_tag(name)
        with _as_hsup_errors(f"pull the image {name}"), bar(f"pulling {name}", 0) as advance:
            done: dict[str, int] = {}
            for event in self._events_of_pull(repository, tag or "latest"):
                if "error" in event:
                    raise DriverError(f"cannot pull the image {name}: {event['error']}")
                detail = event.get("progressDetail") or {}
                if event.get("status") == "Downloading" and "current" in detail:
                    advance(detail["current"] - done.get(event["id"], 0))
                    done[event["id"]] = detail["current"]

    def _events_of_pull(self, repository: str, tag: str) -> Iterator[Mapping[str, Any]]:
        """Yield the events of a pull, between which a long time may pass.

        A separate thread waits for them, so that a pull that is no longer wanted is given up at
        once. The engine ends such a pull when it fails to send the next event.
        """
        events: SimpleQueue[Mapping[str, Any] | Exception | None] = SimpleQueue()
        is_given_up = Event()

        def read() -> None:
            try:
                for event in self._client.pull(repository, tag=tag, stream=True, decode=True):
                    if is_given_up.is_set():
                        return
                    events.put(event)
            except Exception as error:  # noqa: BLE001 - it is raised in the waiting thread
                events.put(error)
            else:
                events.put(None)

        start_thread(read)
        try:
            while event := _next_wanted(events):
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            is_given_up.set()

    def build(
        self,
        stack: str,
        base: str,
        directory: str | None,
        *,
        labels: Mapping[str, str],
        tag: str,
        owner: str,
    ) -> str:
        """Make an image from the image of a stack and the files of a slug; return its id.

        `stack` is the name of the image with the id `base`. No program of it is executed.
        """
        name = f"hsup-build-{new_token()}"
        made = {"Image": base, "Cmd": ["/bin/bash"], "Labels": {OWNER: owner, NAME: name}}
        container = self._engine.create(name, made)
        self._containers.add(container)
        try:
            if self._is_closed:
                raise DriverError(f"the build of image {tag} was cancelled")
            self._require_bash(container, stack)
            self._fill(container, directory, tag)
            return self._commit(container, labels, tag)
        finally:
            self._engine.remove(container)
            self._containers.discard(container)

    def remove_image(self, image: str) -> None:
        """Remove an image, unless a container has it."""
        try:
            self._client.remove_image(image)
        except (DockerException, requests.RequestException) as error:
            logger.info("cannot remove image %s: %s", image, error)

    def _require_bash(self, container: str, stack: str) -> None:
        try:
            self._engine.look(container, "/bin/bash")
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise
            text = f"image {stack} has no /bin/bash, with which hsup starts dynos"
            raise DriverError(text, hint="use another image for the stack") from error

    def _fill(self, container: str, directory: str | None, tag: str) -> None:
        """Put the slug, the user and the start-up script into a container."""
        passwd, group = (self._find(container, f"/etc/{name}") for name in ("passwd", "group"))
        added = layer.Layer(passwd=passwd, group=group, directory=directory)
        with (
            _as_hsup_errors(f"build the image {tag}"),
            bar(f"building {tag}", 0) as advance,
        ):

            def count(size: int) -> None:
                """Stop a cancelled upload, during which an engine cannot remove the container."""
                if self._is_closed:
                    raise DriverError(f"the build of image {tag} was cancelled")
                require_wanted()
                advance(size)

            with layer.streamed(added, count) as archive:
                self._client.put_archive(container, "/", archive)

    def _find(self, container: str, path: str) -> layer.File:
        """Follow symbolic links to a file, and return it; an empty one if there is none."""
        for _ in range(_MOST_LINKS):
            try:
                parts, _ = self._client.get_archive(container, path)
            except NotFound:
                break
            with tarfile.open(fileobj=io.BytesIO(b"".join(parts))) as archive:
                (member, *_) = archive.getmembers()
                if not member.issym():
                    file = archive.extractfile(member)
                    content = file.read() if file else b""
                    return layer.File(path, content.decode("utf-8", "surrogateescape"))
                path = os.path.normpath(os.path.join(os.path.dirname(path), member.linkname))
        return layer.File(path, "")

    def _commit(self, container: str, labels: Mapping[str, str], tag: str) -> str:
        repository, _, version = tag.rpartition(":")
        config = {
            "User": layer.USER,
            "WorkingDir": "/app",
            "Cmd": ["/bin/bash"],
            "Entrypoint": [],
            "Healthcheck": {"Test": ["NONE"]},
            "Labels": {OWNER: "", NAME: "", **labels},  # containers of others are not hsup's
        }
        with _as_hsup_errors(f"build the image {tag}"):
            made = str(self._client.commit(container, repository, version, conf=config)["Id"])
        settings = (self._engine.image(tag) or {}).get("Config") or {}
        if settings.get("User") != layer.USER:
            self.remove_image(made)
            text = f"the engine built image {tag} without a user, so its dynos would run as root"
            raise DriverError(text, hint="use Docker, as Podman 4 cannot build these images")
        return made


def _next_wanted(events: SimpleQueue[_Event]) -> _Event:
    """Return the next event. Raises GivenUp once the work is no longer wanted."""
    while True:
        require_wanted()
        with suppress(Empty):
            return events.get(timeout=_LOOK_SECONDS)


class _TlsAdapter(HTTPAdapter):
    """Verifies certificates as a `Connection` does, not more strictly."""

    def __init__(self, context: SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make all connections with the context."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)


@contextmanager
def _as_hsup_errors(doing: str) -> Iterator[None]:
    """Turn errors of the SDK into errors of hsup."""
    try:
        yield
    except APIError as error:
        reason = " ".join(str(error.explanation or error).split())
        hint = None
        if "no space left on device" in reason:
            hint = "free some space; docker system df lists what uses it"
        elif error.status_code == NOT_FOUND or "denied" in reason:
            hint = "check its name, or log in with docker login"
        raise DriverError(f"cannot {doing}: {reason}", hint=hint) from error
    except (DockerException, requests.RequestException) as error:
        raise EngineUnreachable(f"cannot {doing}: {error}") from error


def _address(endpoint: Endpoint) -> str:
    if endpoint.path is not None:
        return endpoint.address
    host, port = endpoint.host_port
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _tls(given: Certificates | None) -> Any:
    if given is None:
        return False
    return docker.tls.TLSConfig(client_cert=given.own, ca_cert=given.authority, verify=given.verify)
