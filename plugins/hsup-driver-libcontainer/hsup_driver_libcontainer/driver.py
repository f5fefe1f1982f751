"""Run dynos in namespaces and cgroups of their own, without a daemon."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING
from weakref import WeakSet

from hsup.api import Finding, OutputPipes, Settings
from hsup.model import RELEASE_TYPE, Author, DynoSpec, ExitStatus, Release, Slug
from hsup.sizes import Size, named
from hsup.slugs import SlugStore
from hsup_driver_libcontainer.allocation import Allocation
from hsup_driver_libcontainer.child import netlink_apply, plan, protocol
from hsup_driver_libcontainer.child.netlink_apply import NetworkPlan
from hsup_driver_libcontainer.child.plan import Program
from hsup_driver_libcontainer.child.protocol import Built, Channels, Connect, Launch
from hsup_driver_libcontainer.host_resources import HostResources
from hsup_driver_libcontainer.program import program
from hsup_driver_libcontainer.rootfs import RootfsCache, RootfsRef
from hsup_driver_libcontainer.stacks.store import StackStore

if TYPE_CHECKING:
    import asyncio
    import socket

    from hsup.foreground import Session
    from hsup_driver_libcontainer.dyno import ContainerDyno
    from hsup_driver_libcontainer.warm_pool import WarmPool
    from hsup_driver_libcontainer.zygote_client import Zygote

#: What dynos share: a slug, the name of a stack, and the author who named them.
_Key = tuple[Slug | None, str | None, Author | None]

# Only `start` imports what needs asyncio: importing that takes a good part of the time of
# a whole `hsup run`.


class LibcontainerDriver:
    """Starts each dyno from a slug and a stack, isolated from all others."""

    binds_paths = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._host = HostResources(settings)
        self._stacks = StackStore(settings)
        self._slugs = SlugStore(settings)
        self._prepared: dict[_Key, RootfsRef] = {}
        self._running: _Key | None = None  # that of the dyno started last
        self._opened: set[RootfsRef] = set()
        self._turn = threading.Lock()  # a release is built in a thread
        self._zygote: Zygote | None = None
        self._warm_pool: WarmPool | None = None
        self._dynos: WeakSet[ContainerDyno] = WeakSet()  # spares included
        self._has_told_of_copying = False
        self._network: asyncio.Task[None] | None = None
        self._syncing: asyncio.Task[None] | None = None

    def examine(self) -> Sequence[Finding]:
        """Return what this machine has for the driver, and what it lacks."""
        from hsup_driver_libcontainer.stacks import findings

        return [*self._host.examine(), *findings.examine(self._settings)]

    def explain(self, spec: DynoSpec) -> Sequence[str]:
        """Return the steps that would start a dyno here; a slug is shown by its location."""
        from hsup_driver_libcontainer import explanation

        allocation = self._host.sample(self._host.size_of(spec))
        seen = allocation.plan(
            spec,
            stack=explanation.stack_root(self._stacks, spec.stack, self._host.images),
            app=spec.slug.location if spec.slug else None,
            scratch_bytes=self._host.scratch_bytes(allocation.size),
            terminal=None,
        )
        return [
            *self._host.explain(allocation),
            *explanation.of_file_systems(seen, allocation.uid, self._host.stage),
        ]

    def check_size(self, name: str) -> None:
        """Raise DynoStartError if there is no size of this name."""
        named(name)

    def sweep(self) -> Sequence[str]:
        """Remove the leftovers of every previous hsup; return what they were."""
        return [*self._host.sweep(), *self._stacks.sweep(), *self._slugs.sweep()]

    def build(self, release: Release) -> None:
        """Fetch the stack, and fetch and unpack the slug, unless they are present already."""
        self._host.check()
        for process in release.processes:
            if process.size:
                self.check_size(process.size)
        self._host.open()
        key = (release.slug, release.stack, release.author)
        prepared = self._prepare(key)
        with self._turn:
            # Dynos ask for the archive that was built: see hsup.supervision.pinning.
            self._prepared[_pinned(key, prepared)] = prepared
        self._forget_unused(prepared)

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end on hsup's own streams."""
        from hsup.terminal import signals_woken

        with signals_woken() as woken:
            self._host.open()
            self._host.begin_network()
            uid = self._host.take_uid()
            allocation = self._host.take(self._host.size_of(spec), uid)
            try:
                status = self._begin_session(spec, allocation, woken, grace_seconds).run()
                ran_out = status.out_of_memory or allocation.ran_out_of_memory()
                return status._replace(out_of_memory=ran_out)
            finally:
                with ExitStack() as steps:
                    steps.callback(self._host.close)
                    self._host.give_back(allocation)

    def _begin_session(
        self, spec: DynoSpec, allocation: Allocation, woken: int, grace_seconds: float
    ) -> Session:
        """Start a dyno on hsup's own streams."""
        from hsup.terminal import open_streams
        from hsup_driver_libcontainer.streams import Streams, terminal_of

        prepared = self._prepared[_key(spec)]
        descriptors = open_streams()
        terminal, streams = terminal_of(descriptors), Streams(descriptors)
        terminal_type = self._settings.environ.get("TERM")
        channels = self._fork(allocation)
        with self._files(
            allocation, spec, prepared, program(spec, terminal, terminal_type)
        ) as files:
            protocol.say(channels.setup, Launch(), (*files, *streams.given))
        streams.leave()
        self._host.open_network()
        with netlink_apply.route_socket() as host:
            _connect(channels, self._host.network_plan(allocation), host)
        event = allocation.group.out_of_memory_event()
        # Imported while the dyno is being built.
        from hsup.foreground import Session
        from hsup_driver_libcontainer.foreground import AttachedDyno, Begun

        begun = Begun(channels, streams, terminal, event)
        attached = AttachedDyno(begun, self._host.begin_close_firewall)
        return Session(attached, woken, grace_seconds, attached.terminal)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> ContainerDyno:
        """Start a dyno. Raises DynoStartError."""
        from hsup_driver_libcontainer.streams import input_of

        size = self._host.size_of(spec)
        await self._open_network()
        zygote, spares = self._need_zygote(), self._need_warm_pool()
        prepared = await self._claim(_key(spec))
        try:
            dyno = spares.take(size) or await self._make(size)
        except BaseException:
            prepared.leave()
            raise
        dyno.gone.add_done_callback(prepared.leave)
        try:
            executed = program(spec)
            with (
                self._files(dyno.allocation, spec, prepared, executed) as files,
                input_of(spec.input, zygote.null, dyno.allocation.uid) as read,
            ):
                dyno.launch(spec, (*files, read, output.stdout, output.stderr))
            self._tell_of_copying(await dyno.started())
        except BaseException:
            await dyno.destroy()
            raise
        if self._host.can_have_spares:
            spares.want(size)
        if spec.name.type != RELEASE_TYPE:
            self._running = _key(spec)
        self._begin_sync()
        return dyno

    def close(self) -> None:
        """Give back everything, and end the spares and the zygote."""
        with ExitStack() as steps:  # each is taken, even if another one fails
            steps.callback(self._slugs.sync)
            steps.callback(self._host.close)
            if self._zygote is not None:
                steps.callback(self._zygote.close)
            for prepared in self._opened:
                steps.callback(prepared.close)
            for dyno in list(self._dynos):
                if not dyno.is_launched:
                    steps.callback(self._host.give_back, dyno.allocation)
                steps.callback(dyno.abandon)
            if self._warm_pool is not None:
                steps.callback(self._warm_pool.close)

    async def _make(self, size: Size) -> ContainerDyno:
        """Make a dyno that lacks only its files and program. Raises HsupError and OSError."""
        return self._make_with(await self._take_uid(), size)

    async def _take_uid(self) -> int:
        """Take a uid; looking it up among the accounts does not block the event loop."""
        import asyncio

        from hsup.threads import in_thread

        taking = asyncio.ensure_future(in_thread(self._host.take_uid))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(self._give_back_uid)
            raise

    def _give_back_uid(self, taking: asyncio.Future[int]) -> None:
        if not taking.cancelled() and taking.exception() is None:
            self._host.give_back_uid(taking.result())

    def _make_with(self, uid: int, size: Size) -> ContainerDyno:
        from hsup_driver_libcontainer.dyno import ContainerDyno

        zygote = self._need_zygote()
        with ExitStack() as close, ExitStack() as undo:
            undo.callback(self._host.give_back_uid, uid)
            zygote.prepare()
            host = close.enter_context(netlink_apply.route_socket())
            allocation = self._host.take(size, uid)
            undo.callback(self._host.take_back, allocation)
            network = self._host.network_plan(allocation)
            memory_event = allocation.group.out_of_memory_event()
            if memory_event is not None:
                undo.callback(os.close, memory_event)
            channels = self._fork(allocation)  # nothing after this opens a file, so nothing fails
            undo.pop_all()
            _connect(channels, network, host)
        execute = partial(zygote.fork, allocation.process_setup())
        release = self._host.give_back_when_gone
        stuck = zygote.end_stuck
        dyno = ContainerDyno(
            allocation, channels, execute, release, stuck, memory_event=memory_event
        )
        self._dynos.add(dyno)
        return dyno

    def _fork(self, allocation: Allocation) -> Channels:
        """Fork the first process of a dyno; from the zygote if it was started."""
        with ExitStack() as undo, ExitStack() as lent:
            first, its = _pair(undo, lent)
            setup, builders = _pair(undo, lent)
            theirs = (its.fileno(), builders.fileno())
            if self._zygote is not None:
                self._zygote.fork(allocation.process_setup(), theirs)
            else:
                from hsup_driver_libcontainer.child import init

                shared_setup = self._host.shared_setup
                leave = partial(init.leave_all, {*theirs, *shared_setup.kept})
                init.fork(*theirs, allocation.process_setup().packet(), shared_setup, leave)
            channels = Channels(first, setup, f"socket:[{os.fstat(its.fileno()).st_ino}]")
            undo.pop_all()
        return channels

    @contextmanager
    def _files(
        self, allocation: Allocation, spec: DynoSpec, prepared: RootfsRef, executed: Program
    ) -> Iterator[tuple[int, int]]:
        """Yield the memory files of a dyno's plan and program, and close them afterwards."""
        seen = allocation.plan(
            spec,
            stack=prepared.root,
            app=prepared.app,
            scratch_bytes=self._host.scratch_bytes(allocation.size),
            terminal=executed.terminal,
        )
        with ExitStack() as close:
            plan_file = plan.write(seen)
            close.callback(os.close, plan_file)
            program_file = plan.write(executed)
            close.callback(os.close, program_file)
            yield plan_file, program_file

    def _tell_of_copying(self, built: Built) -> None:
        if built.has_copied_owner and not self._has_told_of_copying:
            self._has_told_of_copying = True
            import logging

            from hsup_driver_libcontainer.requirements import COPIES

            text = "the kernel or the slugs' file system does not support idmapped mounts, so %s"
            logging.getLogger(__name__).warning(text, COPIES)

    def _begin_sync(self) -> None:
        """Begin to write slugs that are in use to the disk, so that they survive a power cut."""
        import asyncio

        from hsup.threads import in_thread

        if self._slugs.has_unsynced and (self._syncing is None or self._syncing.done()):
            self._syncing = asyncio.ensure_future(in_thread(self._slugs.sync))

    async def _open_network(self) -> None:
        """Wait until dynos can have a network; a call after a failure tries again."""
        import asyncio

        from hsup.threads import in_thread

        if self._network is None:
            opening = in_thread(self._host.open_network)
            self._network = asyncio.ensure_future(opening)
        task = self._network
        try:
            await asyncio.shield(task)
        finally:
            if task.done() and task.exception() is not None:
                self._network = None

    async def _claim(self, key: _Key) -> RootfsRef:
        """Return a slug and a stack, counting one more dyno that uses them."""
        from hsup.threads import in_thread

        while True:
            with self._turn:
                if key in self._prepared:
                    self._prepared[key].users += 1
                    return self._prepared[key]
            await in_thread(
                partial(self._prepare, key)
            )  # dropped: an old release's, unused for a while

    def _prepare(self, key: _Key) -> RootfsRef:
        """Return a slug and a stack as they are now: what is at their paths may have changed."""
        prepared = self._preparation.prepare(*key)
        with self._turn:
            self._opened.add(prepared)
            self._prepared[key] = prepared
        return prepared

    def _forget_unused(self, built: RootfsRef) -> None:
        """Release the slugs and stacks of old releases that no dyno uses any more.

        Those of the running release stay, whether or not a dyno uses them at this moment: the new
        one may fail.
        """
        with self._turn:
            self._prepared = {
                key: one
                for key, one in self._prepared.items()
                if one is built or one.users or key == self._running
            }
            for one in self._opened - {*self._prepared.values()}:
                if not one.users:
                    self._opened.remove(one)
                    one.close()

    @cached_property
    def _preparation(self) -> RootfsCache:
        return RootfsCache(self._stacks, self._slugs, self._host.images, self._mount)

    def _mount(self, argv: Sequence[str]) -> None:
        self._need_zygote().mount(argv)

    def _need_zygote(self) -> Zygote:
        if self._zygote is None:
            from hsup_driver_libcontainer.zygote_client import Zygote

            self._zygote = Zygote(self._host.shared_setup)
        return self._zygote

    def _need_warm_pool(self) -> WarmPool:
        if self._warm_pool is None:
            from hsup_driver_libcontainer.warm_pool import WarmPool

            self._warm_pool = WarmPool(self._make)
        return self._warm_pool


def _key(spec: DynoSpec) -> _Key:
    return (spec.slug, spec.stack, spec.author)


def _pinned(key: _Key, prepared: RootfsRef) -> _Key:
    """Return a key whose slug has the checksum of the archive that was unpacked."""
    slug, stack, author = key
    if slug is None or slug.checksum or prepared.digest is None:
        return key
    return slug._replace(checksum=f"SHA256:{prepared.digest}"), stack, author


def _pair(ours: ExitStack, theirs: ExitStack) -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a channel, each closed by its own exit stack."""
    near, far = protocol.pair()
    return ours.enter_context(near), theirs.enter_context(far)


def _connect(channels: Channels, network: NetworkPlan, host: socket.socket) -> None:
    protocol.say(channels.setup, Connect(json.dumps(network)), (host.fileno(),))
