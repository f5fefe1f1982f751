"""The values that hsup is about; all of them frozen.

They are named tuples, given by keywords all the same: a dataclass takes Python
six times as long to make, and annotations that are strings, as the `annotations`
of `__future__` are, half as long again. `hsup run` would feel either.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Command(NamedTuple):
    """What a dyno executes: one word is a line for the shell, several are an argv.

    No word is the own command of a container image.
    """

    words: tuple[str, ...]

    @property
    def is_shell_line(self) -> bool:
        """Tell whether bash interprets the command."""
        return len(self.words) == 1

    def __str__(self) -> str:
        if self.is_shell_line:
            return self.words[0]
        import shlex

        return shlex.join(self.words)


#: The process type that runs once before a release, and never as a dyno of it.
RELEASE_TYPE = "release"


class ProcessType(NamedTuple):
    """A line of a Procfile, with how many dynos of it the release asks for.

    `size` is the platform's name of their size, `standard-1x` for example, or
    None where the source does not say.
    """

    name: str
    command: Command
    quantity: int = 1
    size: str | None = None


#: What the location of a container image begins with, in front of its name.
IMAGE_SCHEME = "docker://"


class Slug(NamedTuple):
    """Where an application's code is: a tar archive, a folder, or for some drivers an image.

    `location` is a path, the URL (file, http, https) of an archive, or `docker://` and the
    name of a container image.
    `checksum` is `SHA256:` and 64 hexadecimal digits, as the Platform API has
    it, or None where the source does not know it.
    `inode` is the number of a folder that the release itself was read from:
    another one that takes its place is another slug, and drivers without containers run
    dynos there.
    """

    location: str
    checksum: str | None = None
    inode: int | None = None

    @property
    def image(self) -> str | None:
        """Return the name of the container image that this is, None where it is none."""
        if not self.location.startswith(IMAGE_SCHEME):
            return None
        return self.location.removeprefix(IMAGE_SCHEME)


class Author(NamedTuple):
    """Who wrote a release: a user of this machine, and the group of what they wrote."""

    uid: int
    gid: int

    @property
    def is_trusted(self) -> bool:
        """Tell whether they may read whatever hsup may."""
        return self.uid in {0, os.geteuid()}


class Release(NamedTuple):
    """One consistent state of an application, as a source gives it.

    `metadata` are variables of the platform's that the source knows, HEROKU_SLUG_COMMIT
    for example; dynos have them where they are asked for. What the release names on this
    machine is opened with no more right than its `author` has; None is for a source that
    hsup's own user chose and trusts, Heroku's API for example.
    """

    app: str
    version: int
    config: Mapping[str, str] = _NO_VARIABLES
    processes: tuple[ProcessType, ...] = ()
    slug: Slug | None = None
    stack: str | None = None
    logplex_url: str | None = None
    metadata: Mapping[str, str] = _NO_VARIABLES
    author: Author | None = None

    def process(self, name: str) -> ProcessType | None:
        """Return the process type of that name, or None."""
        return next((one for one in self.processes if one.name == name), None)

    def differs_in_scale_only(self, other: "Release") -> bool:
        """Tell whether this is the other one, whatever its scale and whoever wrote it."""
        return self.scaled_like(other)._replace(author=other.author) == other

    def scaled_like(self, other: "Release") -> "Release":
        """Return this one with the quantities and sizes that its types have in the other."""
        asked = {one.name: one for one in other.processes}
        types = (
            one._replace(quantity=asked[one.name].quantity, size=asked[one.name].size)
            if one.name in asked
            else one
            for one in self.processes
        )
        return self._replace(processes=tuple(types))

    def __str__(self) -> str:
        return f"v{self.version} of {self.app}"


class DynoName(NamedTuple):
    """`web.1`: a process type and a number counted from 1."""

    type: str
    number: int

    def __str__(self) -> str:
        return f"{self.type}.{self.number}"


class Bind(NamedTuple):
    """A path of the host that a dyno sees under a path of its own."""

    host: "Path"
    dyno: "Path"
    read_only: bool = False


class DynoSpec(NamedTuple):
    """All that a driver needs to start one dyno.

    `port` is None where the release sets PORT itself. `metadata` are the platform's
    variables, none where they are not asked for. `author` is the release's.
    """

    name: DynoName
    command: Command
    app: str
    release_version: int
    config: Mapping[str, str]
    port: int | None = None
    slug: Slug | None = None
    stack: str | None = None
    binds: tuple[Bind, ...] = ()
    size: str | None = None
    metadata: Mapping[str, str] = _NO_VARIABLES
    author: Author | None = None

    def runs_like(self, other: "DynoSpec") -> bool:
        """Tell whether a dyno of this spec need not be replaced by one of the other.

        The application's name, the release's version and its author do not count.
        """
        return self == other._replace(
            app=self.app, release_version=self.release_version, author=self.author
        )


class ExitStatus(NamedTuple):
    """How a process ended: with a code from 0 to 255, or by a signal.

    `out_of_memory` tells that it, or a process that it started, was killed
    because the dyno had used up its memory.
    """

    code: int = 0
    signal: int | None = None
    out_of_memory: bool = False

    @property
    def status(self) -> int:
        """Return the status as a shell has it: the code, or 128 + the signal."""
        return self.code if self.signal is None else 128 + self.signal


class Address(NamedTuple):
    """Where a dyno listens."""

    ip: str
    port: int


class Fault(NamedTuple):
    """One thing wrong with what a source was given.

    `place` tells where: `line 3`, `line 7, "Quantity" of process "web"`.
    `problem` tells what was expected and what was found instead. A warning
    does not keep a release from being accepted.
    """

    place: str
    problem: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem
