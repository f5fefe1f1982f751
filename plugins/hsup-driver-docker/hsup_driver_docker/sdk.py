"""What hsup leaves to Docker's SDK: pulling and building images, and credentials.

It blocks, and takes long to import.
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
from hsup_driver_docker import layer
from hsup_driver_docker.connection import EngineAway, EngineError, tls_context
from hsup_driver_docker.container import NAME, OWNER, new_token
from hsup_driver_docker.endpoint import Certificates, Endpoint
from hsup_driver_docker.engine import NOT_FOUND

if TYPE_CHECKING:
    from ssl import SSLContext

    from hsup_driver_docker.engine import Engine

logger = logging.getLogger(__name__)

_Event = TypeVar("_Event")

#: As many as the kernel follows (man 7 path_resolution).
_MOST_LINKS = 40
#: An engine answers an upload when it has written all of it.
_TIMEOUT_SECONDS = 900
#: How often to look whether a pull is still wanted.
_LOOK_SECONDS = 0.2


class Sdk:
    """Docker's SDK for one engine."""

    def __init__(self, engine: Engine) -> None:
        """Connect. Raises EngineAway."""
        self._engine = engine
        self._containers: set[str] = set()  # in which images are being built
        self._is_closed = False
        endpoint = engine.endpoint
        with _failures_told(f"reach the Docker Engine at {endpoint.address}"):
            self._client = docker.APIClient(
                base_url=_address(endpoint),
                version=str(engine.version()["ApiVersion"]),
                timeout=_TIMEOUT_SECONDS,
                tls=_tls(endpoint.certificates),
            )
        # Else REQUESTS_CA_BUNDLE and proxies, which are for the web, outweigh what was said here.
        self._client.trust_env = False
        if endpoint.certificates is not None:
            self._client.mount("https://", _TlsAdapter(tls_context(endpoint.certificates)))

    def close(self) -> None:
        """Close the connections that are kept, and give up what is being built in a thread."""
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
        with _failures_told(f"pull the image {name}"), bar(f"pulling {name}", 0) as advance:
            done: dict[str, int] = {}
            for event in self._events_of_pull(repository, tag or "latest"):
                if "error" in event:
                    raise DriverError(f"cannot pull the image {name}: {event['error']}")
                detail = event.get("progressDetail") or {}
                if event.get("status") == "Downloading" and "current" in detail:
                    advance(detail["current"] - done.get(event["id"], 0))
                    done[event["id"]] = detail["current"]

    def _events_of_pull(self, repository: str, tag: str) -> Iterator[Mapping[str, Any]]:
        """Yield what the engine tells while it pulls, which may be nothing for a long time.

        A thread of its own waits for that, so that a pull that is not wanted any more is given
        up at once. The engine ends it when it has something to tell and nobody listens.
        """
        events: SimpleQueue[Mapping[str, Any] | Exception | None] = SimpleQueue()
        is_given_up = Event()

        def read() -> None:
            try:
                for event in self._client.pull(repository, tag=tag, stream=True, decode=True):
                    if is_given_up.is_set():
                        return
                    events.put(event)
            except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
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
        folder: str | None,
        *,
        labels: Mapping[str, str],
        tag: str,
        owner: str,
    ) -> str:
        """Make an image of a stack's and the files of a slug; return its id.

        `stack` is the name of the image whose id is `base`. Nothing of it is executed.
        """
        name = f"hsup-build-{new_token()}"
        made = {"Image": base, "Cmd": ["/bin/bash"], "Labels": {OWNER: owner, NAME: name}}
        container = self._engine.create(name, made)
        self._containers.add(container)
        try:
            if self._is_closed:
                raise DriverError(f"the build of image {tag} was cancelled")
            self._require_bash(container, stack)
            self._fill(container, folder, tag)
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

    def _fill(self, container: str, folder: str | None, tag: str) -> None:
        """Put the slug, the user and the start-up script into a container."""
        passwd, group = (self._find(container, f"/etc/{name}") for name in ("passwd", "group"))
        added = layer.Layer(passwd=passwd, group=group, folder=folder)
        with (
            _failures_told(f"build the image {tag}"),
            bar(f"building {tag}", 0) as advance,
        ):

            def count(size: int) -> None:
                """Break off at the end: an engine removes no container while it reads for it."""
                if self._is_closed:
                    raise DriverError(f"the build of image {tag} was cancelled")
                require_wanted()
                advance(size)

            with layer.streamed(added, count) as archive:
                self._client.put_archive(container, "/", archive)

    def _find(self, container: str, path: str) -> layer.File:
        """Return a file, which symbolic links may lead to; an empty one where there is none."""
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
            "Labels": {OWNER: "", NAME: "", **labels},  # what somebody else runs of it is not ours
        }
        with _failures_told(f"build the image {tag}"):
            made = str(self._client.commit(container, repository, version, conf=config)["Id"])
        settings = (self._engine.image(tag) or {}).get("Config") or {}
        if settings.get("User") != layer.USER:
            self.remove_image(made)
            text = f"the Docker Engine built image {tag} without its user: dynos would run as root"
            raise DriverError(text, hint="use Docker instead of Podman 4")
        return made


def _next_wanted(events: SimpleQueue[_Event]) -> _Event:
    """Return the next event. Raises GivenUp once the work is not wanted any more."""
    while True:
        require_wanted()
        with suppress(Empty):
            return events.get(timeout=_LOOK_SECONDS)


class _TlsAdapter(HTTPAdapter):
    """Speaks TLS as a `Connection` does, and no more strictly."""

    def __init__(self, context: SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Have all connections made with the context."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)


@contextmanager
def _failures_told(doing: str) -> Iterator[None]:
    """Raise what the SDK raises as an error of hsup's."""
    try:
        yield
    except APIError as error:
        said = " ".join(str(error.explanation or error).split())
        hint = None
        if "no space left on device" in said:
            hint = "free some space; docker system df lists what uses it"
        elif error.status_code == NOT_FOUND or "denied" in said:
            hint = "check its name, or log in with docker login"
        raise DriverError(f"cannot {doing}: {said}", hint=hint) from error
    except (DockerException, requests.RequestException) as error:
        raise EngineAway(f"cannot {doing}: {error}") from error


def _address(endpoint: Endpoint) -> str:
    if endpoint.path is not None:
        return endpoint.address
    host, port = endpoint.host_port
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


def _tls(given: Certificates | None) -> Any:
    if given is None:
        return False
    return docker.tls.TLSConfig(client_cert=given.own, ca_cert=given.authority, verify=given.verify)
