"""Make and start containers; all methods block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from itertools import count
from typing import Any

from hsup.cancellation import require_wanted
from hsup.errors import DriverError, DynoStartError
from hsup.model import Address, DynoSpec
from hsup.sizes import Size, cpu_set
from hsup_driver_docker import labels
from hsup_driver_docker.containers import container
from hsup_driver_docker.containers.binds import recursive_outside
from hsup_driver_docker.containers.container import ContainerOptions
from hsup_driver_docker.containers.handle import AttachedRun, Handle, Launched, start_error
from hsup_driver_docker.engine.client import CONFLICT, Engine
from hsup_driver_docker.engine.connection import EngineError, Stream
from hsup_driver_docker.engine.events import ENDED, OUT_OF_MEMORY
from hsup_driver_docker.images.image import Image

_LOOPBACK, _EVERYWHERE = "127.0.0.1", ("0.0.0.0", "::")  # noqa: S104 - a user may say so
#: How many names are tried: repeated clashes are no accident.
_NAMES = 3
_PORT_TAKEN = ("port is already allocated", "address already in use")


class ContainerFactory:
    """Makes the containers of one hsup, with the label `owner`.

    They join `network`, None for the engine's default one. Their ports are published at the
    address `publish` of the engine's machine.
    """

    def __init__(self, engine: Engine, owner: str, network: str | None, publish: str) -> None:
        self._engine = engine
        self._owner = owner
        self._network = network
        self._publish = publish
        self._numbers = count()

    def options(self, size: Size) -> ContainerOptions:
        """Return the options for a dyno of a size."""
        return ContainerOptions(self._owner, size, self._cpus(size), self._network)

    def fingerprint(self, spec: DynoSpec, image: Image, options: ContainerOptions) -> str:
        """Return the fingerprint of a dyno that `launch` starts."""
        return container.fingerprint(self._body(spec, image, self._published(spec, options)))

    def launch(self, spec: DynoSpec, image: Image, options: ContainerOptions) -> Launched:
        """Start a dyno, and publish its port, under the same number if that is free.

        Raises DynoStartError.
        """
        known_by = self.fingerprint(spec, image, options)
        options = self._published(spec, options)
        try:
            handle, stream = self._start(spec, image, options, known_by)
        except DynoStartError as error:
            if not any(text in str(error) for text in _PORT_TAKEN):
                raise
        else:
            wanted = options.host_port
            address = Address(self._host(self._publish), wanted) if wanted else None
            return Launched(handle, stream, options.owner, address)
        handle, stream = self._start(spec, image, options._replace(host_port=None), known_by)
        with _removed_on_failure(handle, stream):
            address = self.address(handle)
        _tell_of_port(options.host_port, spec, address)
        return Launched(handle, stream, options.owner, address)

    def launch_once(self, spec: DynoSpec, image: Image, options: ContainerOptions) -> AttachedRun:
        """Start a dyno that the engine removes as soon as it has ended. Raises DynoStartError."""
        handle, engine = self._make(spec, image, options), self._engine
        with _removed_on_failure(handle), ExitStack() as opened:
            streams = []
            for ask in (
                partial(engine.attach, with_input=options.has_input),
                partial(engine.events, [OUT_OF_MEMORY, ENDED]),
                engine.removal,
            ):
                streams.append(ask(container=handle.id))
                opened.enter_context(streams[-1].socket)
            handle.start()
            opened.pop_all()
        return AttachedRun(handle, *streams)

    def address(self, handle: Handle) -> Address | None:
        """Return the address at which the port of a dyno is published, None if it is not."""
        listens = container.port(handle.spec)
        ports = self._engine.inspect(handle.id)["NetworkSettings"]["Ports"]
        bound = ports.get(f"{listens}/tcp")
        if not bound:
            return None
        return Address(self._host(bound[0]["HostIp"]), int(bound[0]["HostPort"]))

    def _host(self, bound: str) -> str:
        if bound not in _EVERYWHERE:
            return bound
        endpoint = self._engine.endpoint
        return _LOOPBACK if endpoint.path is not None else endpoint.host_port[0]

    def _published(self, spec: DynoSpec, options: ContainerOptions) -> ContainerOptions:
        return options._replace(publish=self._publish, host_port=container.port(spec))

    def _start(
        self, spec: DynoSpec, image: Image, options: ContainerOptions, known_by: str
    ) -> tuple[Handle, Stream]:
        """Start a dyno, and return it with the stream of its output from the beginning."""
        handle = self._make(spec, image, options, known_by)
        with _removed_on_failure(handle):
            stream = self._engine.attach(handle.id)
            with _removed_on_failure(handle, stream):
                require_wanted()
                handle.start()
        return handle, stream

    def _make(
        self, spec: DynoSpec, image: Image, options: ContainerOptions, known_by: str | None = None
    ) -> Handle:
        body = self._body(spec, image, options)
        if known_by is not None:
            body["Labels"][labels.SPEC] = known_by
        for left in reversed(range(_NAMES)):
            name = container.new_name(spec)
            body["Labels"][labels.NAME] = name
            try:
                made = self._engine.create(name, body)
            except EngineError as error:
                if error.status != CONFLICT or not left:
                    raise start_error(error) from error
            else:
                return Handle(self._engine, made, name, spec, image)
        raise AssertionError

    def _body(self, spec: DynoSpec, image: Image, options: ContainerOptions) -> dict[str, Any]:
        if any(bind.read_only for bind in spec.binds):
            options = options._replace(recursive_outside=recursive_outside(self._information))
        return container.body(spec, image, options)

    def _cpus(self, size: Size) -> str | None:
        """Return the cpus for a dedicated size, None for a shared one, which may use all."""
        if not size.is_dedicated:
            return None
        chosen = cpu_set(size, range(int(self._information["NCPU"])), next(self._numbers))
        return ",".join(map(str, sorted(chosen)))

    @cached_property
    def _information(self) -> Mapping[str, Any]:
        return self._engine.information()


def _tell_of_port(wanted: int | None, spec: DynoSpec, address: Address | None) -> None:
    import logging  # slow to import, and rarely needed

    published = f"{address.ip}:{address.port}" if address else "no port"
    text = "port %s is taken; %s is published at %s instead"
    logging.getLogger(__name__).warning(text, wanted, spec.name, published)


@contextmanager
def _removed_on_failure(handle: Handle, stream: Stream | None = None) -> Iterator[None]:
    """Remove the container and close the stream if the body of the `with` fails."""
    try:
        yield
    except BaseException:
        if stream is not None:
            stream.socket.close()
        try:
            handle.remove()
        except DriverError:
            pass  # the next hsup removes it
        raise
