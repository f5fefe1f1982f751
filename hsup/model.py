"""The values that hsup works with, all of them immutable.

They are named tuples, but made with keywords: a dataclass takes Python six times
as long to define, and with string annotations, as from `__future__`'s
`annotations`, half as long again. Either would slow down `hsup run`.
"""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Command(NamedTuple):
    """What a dyno executes: one word is a shell line, several words are an argv.

    Without words, it is the default command of a container image.
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


#: The feature of the platform with which `hsup start` logs runtime metrics.
LOG_RUNTIME_METRICS = "log-runtime-metrics"

#: The process type that runs once before a release, and is not part of its formation.
RELEASE_TYPE = "release"


class ProcessType(NamedTuple):
    """A line of a Procfile, with the number of its dynos that the release asks for.

    `size` is the platform's name of their size, for example `standard-1x`, or
    None if the source does not say.
    """

    name: str
    command: Command
    quantity: int = 1
    size: str | None = None


#: The prefix of a slug location that is the name of a container image.
IMAGE_SCHEME = "docker://"


class Slug(NamedTuple):
    """Where an application's code is: a tar archive, a directory or, for some drivers, an image.

    `location` is a path, the URL (file, http, https) of an archive, or `docker://` and the
    name of a container image.
    `checksum` is `SHA256:` and 64 hexadecimal digits, as in the Platform API, or
    None if the source does not know it.
    `inode` is the inode number of the directory that the release itself was read from:
    another directory in its place is another slug. Drivers without containers run
    dynos there.
    """

    location: str
    checksum: str | None = None
    inode: int | None = None

    @property
    def image(self) -> str | None:
        """Return the name of the container image, None if the slug is not an image."""
        if not self.location.startswith(IMAGE_SCHEME):
            return None
        return self.location.removeprefix(IMAGE_SCHEME)


class Author(NamedTuple):
    """Who wrote a release: a user of this machine, and the group of the written file."""

    uid: int
    gid: int

    @property
    def is_trusted(self) -> bool:
        """Tell whether they may read whatever hsup may."""
        return self.uid in {0, os.geteuid()}


class Drain(NamedTuple):
    """A destination of log lines that a release names.

    `url` may hold secrets, which are not shown. `token` is what the platform calls the drain,
    `d.` and a UUID; None if the source does not know it.
    """

    url: str
    token: str | None = None

    def __repr__(self) -> str:
        return f"<Drain {self.url.partition(':')[0]}>"


class Release(NamedTuple):
    """One consistent state of an application, as a source gives it.

    `features` are the names of the platform's features that the application has turned on, of those
    that hsup knows: `log-runtime-metrics`. `metadata` are platform variables that the source knows,
    for example HEROKU_SLUG_COMMIT; dynos get them if the user asks for them. Files of this machine
    that the release names are opened only with the rights of its `author`; None is for a source
    that hsup's user chose and trusts, for example Heroku's API. `drains` are destinations of its
    log lines. A change of drains or features restarts nothing.
    """

    app: str
    version: int
    config: Mapping[str, str] = NO_VARIABLES
    processes: tuple[ProcessType, ...] = ()
    slug: Slug | None = None
    stack: str | None = None
    logplex_url: str | None = None
    metadata: Mapping[str, str] = NO_VARIABLES
    author: Author | None = None
    drains: tuple[Drain, ...] = ()
    features: frozenset[str] = frozenset()

    @property
    def variables(self) -> Mapping[str, str]:
        """Return the platform's variables for all dynos: the metadata, app and version."""
        own = {"HEROKU_APP_NAME": self.app, "HEROKU_RELEASE_VERSION": f"v{self.version}"}
        return {**own, **self.metadata}

    def process(self, name: str) -> ProcessType | None:
        """Return the process type of that name, or None."""
        return next((one for one in self.processes if one.name == name), None)

    def differs_in_scale_only(self, other: "Release") -> bool:
        """Tell whether this equals the other release except for scale, drains, features, author."""
        return self.scaled_like(other)._replace(author=other.author) == other

    def scaled_like(self, other: "Release") -> "Release":
        """Return this release with the quantities, sizes, drains and features of the other."""
        asked = {one.name: one for one in other.processes}
        types = (
            one._replace(quantity=asked[one.name].quantity, size=asked[one.name].size)
            if one.name in asked
            else one
            for one in self.processes
        )
        scaled = tuple(types)
        return self._replace(processes=scaled, drains=other.drains, features=other.features)

    def __str__(self) -> str:
        return f"v{self.version} of {self.app}"


class DynoName(NamedTuple):
    """`web.1`: a process type and a number counted from 1."""

    type: str
    number: int

    def __str__(self) -> str:
        return f"{self.type}.{self.number}"


class Bind(NamedTuple):
    """A path of the host, and the path where a dyno sees it."""

    host: "Path"
    dyno: "Path"
    read_only: bool = False


#: The standard input of a dyno that is started: at its end at once; open, without ever giving
#: anything; or that of hsup itself. A program that watches files for a developer ends with its
#: input.
DynoInput = Literal["empty", "open", "own"]


class DynoSpec(NamedTuple):
    """All that a driver needs to start one dyno.

    `port` is None if the release sets PORT itself. `metadata` are the platform's
    variables, empty unless the user asks for them. `author` is the release's. `passed` are
    variables of hsup's caller, which all others override.
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
    metadata: Mapping[str, str] = NO_VARIABLES
    author: Author | None = None
    passed: Mapping[str, str] = NO_VARIABLES
    input: DynoInput = "empty"

    def runs_like(self, other: "DynoSpec") -> bool:
        """Tell whether a dyno of this spec can keep running as a dyno of the other.

        The application's name, the release's version and its author are ignored.
        """
        return self == other._replace(
            app=self.app, release_version=self.release_version, author=self.author
        )


class ExitStatus(NamedTuple):
    """How a process ended: with a code from 0 to 255, or by a signal.

    `out_of_memory` tells that the process, or one that it started, was killed
    because the dyno had used up its memory.
    """

    code: int = 0
    signal: int | None = None
    out_of_memory: bool = False

    @property
    def status(self) -> int:
        """Return the status as in a shell: the code, or 128 + the signal."""
        return self.code if self.signal is None else 128 + self.signal


class Address(NamedTuple):
    """Where a dyno listens."""

    ip: str
    port: int


class PlatformLine(NamedTuple):
    """What the platform says of an error, to the letter; `facts` are the values in it, by name."""

    text: str
    facts: Mapping[str, str] = NO_VARIABLES


class Fault(NamedTuple):
    """One thing that is wrong with the input of a source.

    `place` says where: `line 3`, `line 7, "Quantity" of process "web"`.
    `problem` says what was expected and what was found instead. A release is
    accepted in spite of warnings. `file` is the file that it is in, if that is
    another one than the input is named after. What `is_of_others` matters to other platforms
    alone: `hsup check` tells it, `hsup start` does not.
    """

    place: str
    problem: str
    is_warning: bool = False
    file: str = ""
    is_of_others: bool = False

    def __str__(self) -> str:
        place = self.place
        if self.file and place:
            place = f"{self.file}{' ' if place.startswith('line ') else ', '}{place}"
        place = place or self.file
        return f"{place}: {self.problem}" if place else self.problem
