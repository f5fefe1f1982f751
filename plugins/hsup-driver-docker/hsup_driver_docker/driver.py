"""Run dynos in containers of a Docker Engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING

from hsup.api import Finding, OutputPipes, Settings
from hsup.errors import DriverError, DynoStartError
from hsup.model import RELEASE_TYPE, DynoSpec, ExitStatus, Release
from hsup.sizes import Size, default_size, named
from hsup_driver_docker.engine import endpoint
from hsup_driver_docker.engine.client import Engine
from hsup_driver_docker.engine.connection import Connection, EngineError
from hsup_driver_docker.images.image import Image
from hsup_driver_docker.images.store import Images, Wanted

if TYPE_CHECKING:
    from hsup_driver_docker.containers.container import ContainerOptions
    from hsup_driver_docker.containers.factory import ContainerFactory
    from hsup_driver_docker.containers.handle import AttachedRun, Launched
    from hsup_driver_docker.containers.instances import InstanceRegistry
    from hsup_driver_docker.containers.leftovers import Leftovers
    from hsup_driver_docker.containers.memory_watch import MemoryWatch
    from hsup_driver_docker.containers.position import Position, PositionFile
    from hsup_driver_docker.dyno import DockerDyno

_SIZE, _NETWORK, _PUBLISH = "DOCKER_DYNO_SIZE", "DOCKER_NETWORK", "DOCKER_PUBLISH"
_LOOPBACK = "127.0.0.1"

# Imports are a good part of the time of each command. So `run` and `start` import what `build`
# does not need if the image exists, and only `start` imports what needs asyncio.


class DockerDriver:
    """Runs each dyno in a container, from an image with its slug."""

    binds_paths = True

    def __init__(self, settings: Settings) -> None:
        """Read the environment variables. Raises UsageError for an invalid one."""
        self._settings = settings
        self._size = default_size(settings.environ, _SIZE)
        self._engine = Engine(Connection(endpoint.find(settings.environ)))
        self._images = Images(settings, self._engine)
        self._known: dict[Wanted, Image] = {}
        self._running: Wanted | None = None  # the image of the dyno started last
        self._app = ""
        self._turn = threading.Lock()  # a release is built in a thread
        self._dynos: dict[str, DockerDyno] = {}
        self._beginning = 0  # dynos being started, which may already have containers
        self._leftovers: Leftovers | None = None
        self._memory_watch: MemoryWatch | None = None

    def examine(self) -> Sequence[Finding]:
        """Return what `hsup doctor` reports of the engine."""
        from hsup_driver_docker.findings import examine

        return examine(self._engine)

    def explain(self, spec: DynoSpec) -> Sequence[str]:
        """Return the steps that would start a dyno; no engine is asked."""
        from hsup_driver_docker import explanation
        from hsup_driver_docker.containers import container
        from hsup_driver_docker.images.stacks import Stacks

        stack = Stacks(self._settings.environ).image(spec.stack)
        options = container.ContainerOptions(
            owner="OWNER",
            size=self._size_of(spec),
            network=self._network,
            publish=self._publish,
            host_port=container.port(spec),
            is_lasting=True,
        )
        return [*explanation.explain(spec, stack, options)]

    def check_size(self, name: str) -> None:
        """Raise DynoStartError if there is no size of this name."""
        named(name)

    def sweep(self) -> Sequence[str]:
        """Sweep the leftovers of previous hsups, except for running dynos; describe each."""
        from hsup_driver_docker.containers.leftovers import Leftovers

        self._leftovers = Leftovers(self._engine, self._instances)
        return self._leftovers.sweep()

    def keep_only(self, specs: Collection[DynoSpec]) -> Sequence[str]:
        """Remove dynos of the application left by previous hsups, except for these."""
        if self._leftovers is None:
            return []
        kept = {self._fingerprint(spec) for spec in specs}
        return self._leftovers.keep_only(self._app, kept)

    def build(self, release: Release) -> None:
        """Pull the image of the stack, and build one with the slug, unless they exist."""
        for process in release.processes:
            if process.size:
                self.check_size(process.size)
        wanted = Wanted(release.app, release.slug, release.stack, release.author)
        image = self._images.obtain(wanted, release.version, self._owner)
        self._app = release.app
        with self._turn:
            # What runs may be started again, as the new release may fail.
            running = self._known.get(self._running) if self._running else None
            self._known = {wanted: image, _pinned(wanted, image): image}
            if self._running and running:
                self._known.setdefault(self._running, running)

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end on hsup's own streams."""
        from hsup.terminal import open_streams, signals_woken
        from hsup_driver_docker.containers.container import terminal_of

        with signals_woken() as woken:
            open_streams()
            options = self._factory.options(self._size_of(spec))
            options = options._replace(
                terminal=terminal_of(self._settings.environ),
                has_input=True,
                joins_outputs=os.path.sameopenfile(1, 2),
            )
            launched = self._launch_once(spec, options)
            attached = None
            try:
                # While the program begins, there is time to import.
                from hsup.foreground import Session
                from hsup_driver_docker.foreground import AttachedContainer

                attached = AttachedContainer(launched, has_terminal=options.terminal is not None)
                return Session(attached, woken, grace_seconds, attached.terminal).run()
            finally:
                launched.close()
                if attached is None or not attached.has_ended:
                    launched.handle.remove()

    def _launch_once(self, spec: DynoSpec, options: ContainerOptions) -> AttachedRun:
        from hsup_driver_docker.containers.handle import ImageGone

        try:
            return self._factory.launch_once(spec, self._image(spec), options)
        except ImageGone:
            self._forget_images()
            return self._factory.launch_once(spec, self._image(spec), options)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> DockerDyno:
        """Start a dyno. Raises DynoStartError."""
        dyno = await self._begin(partial(self._launch, spec), output)
        assert dyno is not None
        return dyno

    async def adopt(self, spec: DynoSpec, output: OutputPipes) -> DockerDyno | None:
        """Adopt the dyno of this spec that a previous hsup left running, if there is one."""
        return await self._begin(partial(self._adopt_container, spec), output)

    def close(self) -> None:
        """Release everything, but leave running dynos that were not adopted."""
        self._images.close()
        if self._memory_watch is not None:
            self._memory_watch.close()
        if "_instances" not in self.__dict__:  # no container was made
            return
        remaining = {self._instances.owner} if self._dynos or self._beginning else set()
        if self._leftovers is not None and self._instances.has_adopted:
            try:
                remaining |= self._leftovers.owners()
            except DriverError:  # the engine cannot be reached
                remaining |= set(self._instances.owners)
        self._instances.leave(remaining)

    async def _begin(
        self, launch: Callable[[], Launched | None], output: OutputPipes
    ) -> DockerDyno | None:
        """Launch a container, and follow it; remove it if this fails or is cancelled."""
        from hsup.threads import in_thread_or_here, in_thread_or_undone

        await self._watch_memory()
        self._beginning += 1
        try:
            launched = await in_thread_or_undone(launch, _discard)
            try:
                return launched and self._follow(launched, output)
            except OSError as error:
                await in_thread_or_here(partial(_discard, launched))
                text = f"cannot read the output of the dyno: {error.strerror}"
                hint = "raise the open-file limit, for example ulimit -n 4096"
                raise DynoStartError(text, hint=hint) from error
        finally:
            self._beginning -= 1

    def _launch(self, spec: DynoSpec) -> Launched:
        from hsup_driver_docker.containers.handle import ImageGone

        options = self._options(spec)
        try:
            return self._factory.launch(spec, self._image(spec), options)
        except ImageGone:
            self._forget_images()
            return self._factory.launch(spec, self._image(spec), options)

    def _adopt_container(self, spec: DynoSpec) -> Launched | None:
        """Return the dyno, with its output since the previous hsup ended; None without one.

        Raises DriverError if the engine cannot be reached, or fails: the dyno may still run.
        """
        from hsup_driver_docker.containers.handle import Handle, Launched
        from hsup_driver_docker.engine.client import CONFLICT, NOT_FOUND

        fingerprint = self._fingerprint(spec)
        leftover = self._leftovers and self._leftovers.find(fingerprint)
        if not self._leftovers or not leftover:
            return None
        identity, name, owner = leftover
        handle = Handle(self._engine, identity, name, spec, self._image(spec))
        try:
            handle.resume()
            address = self._factory.address(handle)
            since = self._position(owner, identity)
            stream = self._engine.logs(identity, since.since_text)
        except EngineError as error:
            if error.status not in {NOT_FOUND, CONFLICT}:
                raise
            handle.remove()  # it has ended meanwhile
            self._leftovers.forget(fingerprint)
            return None
        self._leftovers.forget(fingerprint)
        return Launched(handle, stream, owner, address, since)

    def _position(self, owner: str, identity: str) -> Position:
        """Return the position from which to read the output of a container."""
        from hsup_driver_docker.containers.position import Position, PositionFile

        try:
            file = PositionFile(self._instances.position_file(owner, identity))
        except OSError:
            return Position()
        position = file.read().start()
        file.leave()
        return position

    def _fingerprint(self, spec: DynoSpec) -> str:
        return self._factory.fingerprint(spec, self._image(spec), self._options(spec))

    def _options(self, spec: DynoSpec) -> ContainerOptions:
        return self._factory.options(self._size_of(spec))._replace(is_lasting=True)

    def _follow(self, launched: Launched, output: OutputPipes) -> DockerDyno:
        from hsup_driver_docker.dyno import DockerDyno
        from hsup_driver_docker.relay import Outputs

        handle = launched.handle
        file = self._position_file(launched)
        try:
            outputs = Outputs(output, file)
        except OSError:
            if file is not None:
                file.remove()
            raise
        if handle.spec.name.type != RELEASE_TYPE:
            self._running = _wanted(handle.spec)
        self._dynos[handle.id] = dyno = DockerDyno(launched, outputs, self._forget_dyno)
        return dyno

    def _position_file(self, launched: Launched) -> PositionFile | None:
        from hsup_driver_docker.containers.position import PositionFile

        path = self._instances.position_file(launched.owner, launched.handle.id)
        try:
            return PositionFile(path)
        except OSError as error:
            import logging

            logging.getLogger(__name__).warning(
                "cannot write %s: %s; after a crash of hsup, some output of %s may appear twice",
                path,
                error.strerror,
                launched.handle.spec.name,
            )
            return None

    def _forget_dyno(self, dyno: DockerDyno) -> None:
        self._dynos.pop(dyno.handle.id, None)

    async def _watch_memory(self) -> None:
        if self._memory_watch is None:
            from hsup_driver_docker.containers.memory_watch import MemoryWatch
            from hsup_driver_docker.labels import OWNER

            self._memory_watch = MemoryWatch(self._engine, OWNER, self._see_out_of_memory)
        await self._memory_watch.begin()

    def _see_out_of_memory(self, identity: str) -> None:
        if dyno := self._dynos.get(identity):
            dyno.run_out_of_memory()

    def _image(self, spec: DynoSpec) -> Image:
        """Return the image of a dyno; blocks while it is built again."""
        wanted = _wanted(spec)
        with self._turn:
            if wanted not in self._known:
                version = spec.release_version
                self._known[wanted] = self._images.obtain(wanted, version, self._owner)
            return self._known[wanted]

    def _forget_images(self) -> None:
        with self._turn:
            self._known.clear()

    def _size_of(self, spec: DynoSpec) -> Size:
        return named(spec.size) if spec.size else self._size

    def _owner(self) -> str:
        return self._instances.owner

    @cached_property
    def _instances(self) -> InstanceRegistry:
        from hsup_driver_docker.containers.instances import InstanceRegistry

        return InstanceRegistry(self._settings.environ, self._engine.endpoint.address)

    @cached_property
    def _factory(self) -> ContainerFactory:
        from hsup_driver_docker.containers.factory import ContainerFactory

        return ContainerFactory(self._engine, self._instances.owner, self._network, self._publish)

    @property
    def _network(self) -> str | None:
        return self._settings.environ.get(_NETWORK) or None

    @property
    def _publish(self) -> str:
        return self._settings.environ.get(_PUBLISH) or _LOOPBACK


def _discard(launched: Launched | None) -> None:
    """Remove a container that is not followed."""
    if launched is not None:
        launched.stream.socket.close()
        launched.handle.remove()


def _wanted(spec: DynoSpec) -> Wanted:
    return Wanted(spec.app, spec.slug, spec.stack, spec.author)


def _pinned(wanted: Wanted, image: Image) -> Wanted:
    """Return what dynos want: their slug has the checksum of the archive that was built."""
    slug = wanted.slug
    if slug is None or slug.checksum or image.digest is None:
        return wanted
    return wanted._replace(slug=slug._replace(checksum=f"SHA256:{image.digest}"))
