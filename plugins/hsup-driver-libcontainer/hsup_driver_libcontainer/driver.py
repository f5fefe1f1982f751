"""Run dynos in namespaces and cgroups of their own, without a daemon."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from hsup.api import Finding, OutputPipes, Settings
from hsup.errors import DynoStartError
from hsup.model import DynoSpec, ExitStatus, Release, Slug
from hsup.slugs import SlugStore
from hsup_driver_libcontainer import messages
from hsup_driver_libcontainer.container import Container
from hsup_driver_libcontainer.machine import Machine
from hsup_driver_libcontainer.messages import Confine
from hsup_driver_libcontainer.prepared import Preparation, Prepared
from hsup_driver_libcontainer.program import program
from hsup_driver_libcontainer.stacks.store import StackStore

if TYPE_CHECKING:
    from hsup_driver_libcontainer.dyno import ContainerDyno
    from hsup_driver_libcontainer.zygote_client import Zygote

# What needs asyncio is imported by `start` only: it takes a good part of the time
# of a whole `hsup run`.


class LibcontainerDriver:
    """Starts each dyno from a slug and a stack, isolated from all others."""

    binds_paths = True
    sizes_dynos = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._machine = Machine(settings)
        self._prepared: dict[tuple[Slug | None, str | None], Prepared] = {}

    def examine(self) -> Sequence[Finding]:
        """Tell what this machine has for the driver, and what is missing."""
        return self._machine.examine()

    def sweep(self) -> Sequence[str]:
        """Remove what is left of every hsup that is no more."""
        return self._machine.sweep()

    def build(self, release: Release) -> None:
        """Fetch the stack, and fetch and unpack the slug, where they are not there yet."""
        self._machine.check()
        self._prepare(release.slug, release.stack)
        self._machine.open()

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end on hsup's own streams."""
        from hsup_driver_libcontainer import foreground, init

        container = self._take(spec)
        try:
            streams = foreground.open_streams()
            terminal = foreground.terminal_of(streams)
            kind = self._settings.environ.get("TERM")
            ours, theirs = messages.pair()
            plan_file = container.plan(program(spec, terminal, kind), self._machine.resolv_conf)
            with theirs:
                kept = self._machine.kept
                pid = init.fork(theirs, plan_file, streams, kept, self._machine.stage)
            os.close(plan_file)
            messages.send(ours, self._confine(container))
            status = foreground.Session(ours, terminal).run(grace_seconds)
            os.waitpid(pid, 0)
            return status._replace(out_of_memory=container.ran_out_of_memory())
        finally:
            self._machine.give_back(container)

    async def start(self, spec: DynoSpec, output: OutputPipes) -> ContainerDyno:
        """Start a dyno. Raises DynoStartError."""
        from hsup_driver_libcontainer.dyno import ContainerDyno

        container = self._take(spec)
        ours, theirs = messages.pair()
        dyno = ContainerDyno(container, ours, self._machine.give_back_when_gone)
        try:
            plan_file = container.plan(program(spec), self._machine.resolv_conf)
            with theirs:
                streams = (self._null, output.stdout, output.stderr)
                self._zygote.fork(theirs, plan_file, streams)
            os.close(plan_file)
            messages.send(ours, self._confine(container))
            await dyno.started()
        except BaseException:
            await dyno.destroy()
            raise
        return dyno

    def close(self) -> None:
        """Leave nothing behind."""
        for prepared in self._prepared.values():
            prepared.close()
        self._machine.close()

    def _take(self, spec: DynoSpec) -> Container:
        key = (spec.slug, spec.stack)
        if key not in self._prepared:
            raise DynoStartError(f"release v{spec.release_version} has not been built")
        return self._machine.take(spec, self._prepared[key])

    def _confine(self, container: Container) -> Confine:
        return Confine(self._machine.network_plan(container), self._machine.seccomp_filter)

    def _prepare(self, slug: Slug | None, stack: str | None) -> None:
        key = (slug, stack)
        if key not in self._prepared:
            self._prepared[key] = self._preparation.prepare(slug, stack)

    @cached_property
    def _preparation(self) -> Preparation:
        images = f"{self._machine.folder}/images"
        stacks, slugs = StackStore(self._settings), SlugStore(self._settings)
        return Preparation(stacks, slugs, images, self._zygote.mount)

    @cached_property
    def _zygote(self) -> Zygote:
        from hsup_driver_libcontainer.zygote_client import Zygote

        return Zygote(self._machine.kept, self._machine.stage)

    @cached_property
    def _null(self) -> int:
        return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
