"""The contracts of drivers, sources, log sinks, services and commands.

A plugin's hooks only register factories of such objects (see
`hsup.hookspecs`); hsup calls a factory when the object is needed, at most once
a run. Methods that are `async` run on hsup's one event loop and must never
block it; the others may block, and hsup calls them from a thread where a loop
is running.

What a method raises that is not an HsupError is told with the plugin's name, as is what
it returns of another type than here. After 10 s hsup says what it waits for. When it is
told a second time to stop, it cancels what it waits for, but for `wait` and `destroy`
of a dyno, which have 5 s more. An ability is one that is not None or False.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from hsup.errors import ReleaseRejected, SourceError
from hsup.model import Address, Command, DynoSpec, ExitStatus, Fault, Release

if TYPE_CHECKING:
    from pathlib import Path


class Settings(NamedTuple):
    """What the user asked for, as far as plugins need it.

    `environ` is hsup's own environment as it was at the start: plugins read
    their variables from here. `folder` is where hsup was called, as text: pathlib
    alone would take a twentieth of the time of `hsup run`.
    """

    folder: str
    environ: Mapping[str, str]
    app: str | None = None
    control_socket: str | None = None
    logplex_url: str | None = None


class OutputPipes(Protocol):
    """Where a dyno's output goes: the writing ends of two pipes.

    The driver gives them to the dyno's process, or writes to them itself. hsup
    closes its own copies when `start` has returned; what the driver keeps
    longer it duplicates, and closes when the dyno has ended.
    """

    @property
    def stdout(self) -> int:
        """Return the descriptor for the dyno's standard output."""

    @property
    def stderr(self) -> int:
        """Return the descriptor for the dyno's standard error."""


class RunningDyno(Protocol):
    """A dyno from the moment that its driver has started it.

    Each of its methods may be cancelled, and called again then.
    """

    @property
    def address(self) -> Address | None:
        """Return where the dyno's PORT can be reached from the host, or None."""

    async def wait(self) -> ExitStatus:
        """Return how the dyno's main process ended, once it has.

        May be called more than once, also after `destroy`.
        """

    async def signal(self, number: int) -> None:
        """Send a signal to every process of the dyno; nothing if there is none."""

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when nothing of the dyno is left.

        What is still running gets `grace_seconds` to end by itself, and is
        killed then. Nothing left means: no process, mount, interface, cgroup,
        uid lease, container or folder. May be called more than once, also
        while another call waits. Returns whether something had to be killed.
        """


class Driver(Protocol):
    """Runs dynos in one particular way."""

    def build(self, release: Release) -> None:
        """Prepare what all dynos of a release share; may block.

        Called before the first dyno of the release starts, and again after a
        failure: it must be idempotent. Raises DriverError.
        """

    async def start(self, spec: DynoSpec, output: OutputPipes) -> RunningDyno:
        """Start a dyno; what it writes goes to `output`, its input is empty.

        Raises DynoStartError, and leaves nothing behind then. May be cancelled wherever it
        waits: then it ends what it has begun, also in a thread (see
        `hsup.threads.in_thread_or_undone`), and raises CancelledError; hsup waits for that for
        5 s. What cannot be ended by then, `sweep` of a later hsup removes. The next dyno of
        the same name starts all the same.
        """


@runtime_checkable
class RunsForeground(Protocol):
    """The ability of a driver to run a dyno on hsup's own standard streams."""

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end with the streams, and the terminal, of hsup.

        Blocks; called once, in the main thread, with no event loop. SIGTERM
        and SIGHUP that hsup is sent go to every process of the dyno, which has
        `grace_seconds` then. No process of the dyno is left on return, and all
        else is gone, or goes by itself. Raises DynoStartError. `hsup.foreground`
        does this for a dyno whose streams pass through hsup.
        """


@runtime_checkable
class BindsPaths(Protocol):
    """The ability of a driver to honour `DynoSpec.binds`."""

    binds_paths: bool


@runtime_checkable
class IgnoresSlugs(Protocol):
    """The ability of a driver to run commands in the current folder, whatever the slug.

    The user is told so, once.
    """

    ignores_slugs: bool


@runtime_checkable
class SizesDynos(Protocol):
    """The ability of a driver to honour `DynoSpec.size`."""

    def check_size(self, name: str) -> None:
        """Raise DriverError for a name that is not one of a size."""


@runtime_checkable
class Sweeps(Protocol):
    """The ability of a driver to remove what a dead hsup left behind."""

    def sweep(self) -> Sequence[str]:
        """Remove the leftovers of every hsup that is no more; say what they were.

        Called once, before the first dyno is started. May block. Never touches
        what belongs to an hsup that is alive. Running dynos that a driver can
        take over (see `Adopts`) stay.
        """


@runtime_checkable
class Adopts(Protocol):
    """The ability of a driver to take over the dynos of an hsup that is no more."""

    def keep_only(self, specs: Collection[DynoSpec]) -> Sequence[str]:
        """Remove dynos that a dead hsup left running, but for those that run just like these.

        Returns what was removed. Called once, before the first dynos of `start` are
        started and after they are built; `sweep` leaves running dynos for it. May block.
        """

    async def adopt(self, spec: DynoSpec, output: OutputPipes) -> RunningDyno | None:
        """Return a dyno that was kept, None where there is none of this spec.

        What it wrote since its hsup ended goes to `output`, as at a start. Where this is
        cancelled, the dyno is ended, or stays for the next hsup.
        """


@runtime_checkable
class Closes(Protocol):
    """The ability of a driver to release what all its dynos share."""

    def close(self) -> None:
        """Leave nothing behind; may block.

        Called once, last, when no dyno is left.
        """


class Execution(Protocol):
    """A command that runs in a dyno beside the dyno's own program."""

    async def wait(self) -> ExitStatus:
        """Return how it ended; it ends with its dyno at the latest."""

    async def signal(self, number: int) -> None:
        """Send a signal to its process; nothing if that has ended."""


@runtime_checkable
class ExecutesInside(Protocol):
    """The ability of a running dyno to execute other commands beside its program."""

    async def execute(self, command: Command, streams: Sequence[int]) -> Execution:
        """Start a command with the dyno's environment, user and limits.

        `streams` are three descriptors, its standard input, output and error;
        they stay the caller's. Raises DynoStartError. Where this is cancelled, the
        command is ended, and the dyno runs on.
        """


class Finding(NamedTuple):
    """One thing that was looked at on this machine.

    `remedy` says what to do where `is_good` is false; a thing that is not
    needed has no remedy.
    """

    subject: str
    is_good: bool
    text: str
    remedy: str | None = None


@runtime_checkable
class Examines(Protocol):
    """The ability of a driver to tell whether this machine has what it needs."""

    def examine(self) -> Sequence[Finding]:
        """Look at the machine without changing anything, for `hsup doctor`."""


@runtime_checkable
class Explains(Protocol):
    """The ability of a driver to tell step by step how it would start a dyno here."""

    def explain(self, spec: DynoSpec) -> Sequence[str]:
        """Say in words what `start` would do, one step a text, in the order of doing it.

        Called once by `hsup doctor --explain`, before anything is built or started, with a
        dyno that is made up: no release has it, its slug is the folder that hsup was called
        in, its binds and its size are those that the user asked for. May block. Changes
        nothing, and takes no lease: what each dyno has of its own is made up, too. What
        depends on this machine is as this machine has it. Raises DriverError where it lacks
        something without which the steps are not known; `Examines` tells of all that.
        """


DriverFactory = Callable[[Settings], Driver]


class Fetched(NamedTuple):
    """What a source answers.

    `release` is the newest good release, None where there is none yet.
    `rejected` tells of a newer one that is faulty: hsup reports it and runs
    `release` all the same. `warnings` do not keep anything from running.
    `ask_again` says that something newer could not be taken for now, so that
    hsup asks again after a while. `remedy` says what to do for a first release,
    where there is none. `failure` says why the source itself does not know what is
    newest; it is told to observers, each time.
    """

    release: Release | None
    rejected: ReleaseRejected | None = None
    warnings: tuple[str, ...] = ()
    ask_again: bool = False
    remedy: str | None = None
    failure: SourceError | None = None


class Source(Protocol):
    """Gives the releases of an application."""

    def fetch(self) -> Fetched:
        """Read the newest release; may block.

        An answer that is equal to the one before changes nothing. Raises
        SourceError where nothing can be read at the moment: hsup then tries
        again after a while, and goes on with what is running.
        """

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield once at the start, and whenever `fetch` may have a new answer.

        The first value comes when changes are already being watched for, so
        that none is missed between it and the first `fetch`.
        """


@runtime_checkable
class FollowsFormation(Protocol):
    """The ability of a source, told by its factory, to say how many dynos should run now.

    Where the user says nothing else, `hsup start` has as many.
    """

    follows_formation: bool


@runtime_checkable
class KeepsReleases(Protocol):
    """The ability of a source to keep the release that runs for an hsup to come.

    Where hsup starts with a release that was kept, its release phase is not run again, unless
    its code is a folder, which may have changed. Where the first release of a start fails, or
    there is none because of a fault, the one that was kept runs instead, but for `--oneshot`.
    """

    def keep(self, release: Release) -> None:
        """Keep a release that is about to run: its release phase has passed.

        May block. Raises SourceError where it cannot be kept; it runs all the same.
        """

    def kept(self) -> Release | None:
        """Return the last release that was kept, None where there is none; may block."""


@runtime_checkable
class FetchesSlugs(Protocol):
    """The ability of a source to fetch the slug of a release itself, once that is to be built.

    For what nobody else could fetch, as its URL expires. `Slug.location` says where it will be.
    """

    def fetch_slug(self, release: Release) -> None:
        """Have the slug of a release on this machine, if it has one; may block.

        Called before each build of a release. May be called while `fetch` is: as soon as that
        has a newer release, this one is given up (`hsup.cancellation`). Raises DriverError for
        what may work later, another HsupError for what will not.
        """


class Claim(IntEnum):
    """How strongly a user's settings ask for a source: the strongest claim is used.

    Where two sources claim alike, hsup says so, and uses the one whose name sorts first.
    """

    #: Nothing asks for it.
    NONE = 0
    #: It would do where nothing else is asked for: an application's name, and a key in ~/.netrc.
    FALLBACK = 1
    #: What it reads is where hsup was called: a Procfile.
    FOUND = 2
    #: A variable names what it reads: HSUP_CONTROL_DIR.
    NAMED = 3
    #: A variable has the key to a platform: HEROKU_ACCESS_TOKEN.
    PLATFORM = 4


class SourceFactory(Protocol):
    """Says how strongly a source is asked for, and makes it."""

    @property
    def remedy(self) -> str:
        """Return what a user does to choose this source: `set HSUP_CONTROL_DIR=…`."""

    def applies(self, settings: Settings) -> Claim:
        """Return how strongly the user's settings ask for this source.

        Called before every command that needs a source, unless the user names one: look at
        variables and at what is on this machine, and ask no server.
        """

    def create(self, settings: Settings) -> Source:
        """Make the source. Raises UsageError where settings lack something."""

    def check(self, path: Path | None, settings: Settings) -> Checked | None:
        """Validate an input without using it, for `hsup check`.

        `path` is the file that the user named: return None for one of another
        kind. Without one, validate what `create` would read. Raises
        SourceError where it cannot be read at all.
        """


class Checked(NamedTuple):
    """What was validated, in the user's words, and every fault of it."""

    what: str
    faults: tuple[Fault, ...]


#: Stands where a dyno's name does in lines that concern no single dyno.
SUPERVISOR = "supervisor"


class LogEvent(NamedTuple):
    """What a line of hsup's own tells, for programs.

    `name` is that of the event: `state_changed`, `exited`, `starting`, `stopping`,
    `killing`, `adopted`, `error`, `release_received`, `release_rejected`, `source_failed`,
    `supervisor_started`, `supervisor_stopping`, `preparing` and `fetching` of a release that
    takes long, and `warning` or `notice` for all else.
    `state` is the one that a dyno is in now, in the platform's words; `status` is how it
    exited, as a shell has it; `code` is the platform's of an error, R15 for example.
    """

    name: str
    state: str | None = None
    status: int | None = None
    code: str | None = None


class LogBatch(NamedTuple):
    """Whole lines of one stream of one dyno.

    `lines` is bytes as the dyno wrote them, newlines included; only the last
    line that a dyno wrote before it ended may lack its newline, and where
    `is_partial` is set: a line of more than 1 MiB, or a shorter one where all
    dynos together have written more than 8 MiB that they have not ended, comes in
    pieces, and the next batch of the stream goes on with it. It is cut between
    characters of UTF-8.

    `time` is when hsup read them, in nanoseconds since the epoch. `source` is
    `app` for a dyno's own output and `hsup` for what hsup says of it; `dyno` is
    `web.1`, or `supervisor`; `stream` is `stdout` or `stderr`. `app` and `release`
    are the application and the version that the dyno was started with, None as long
    as there is no release; `event` is what a line of hsup's own tells.
    """

    time: int
    source: str
    dyno: str
    stream: str
    lines: bytes
    is_partial: bool = False
    app: str | None = None
    release: int | None = None
    event: LogEvent | None = None


class LogSink(Protocol):
    """Somewhere that log lines go."""

    def write(self, batch: LogBatch) -> None:
        """Take a batch; must not block and must not raise."""

    @property
    def is_full(self) -> bool:
        """Tell whether hsup should stop reading output until `drained` returns.

        A sink that drops what it cannot keep is never full.
        """

    async def drained(self) -> None:
        """Return when there is room for more."""

    async def close(self) -> None:
        """Deliver what is left, and release everything; called once, last.

        Cancelled when nothing was taken for a while, or when hsup has to end at
        once: drop the rest then.
        """


LogSinkFactory = Callable[[Settings], "LogSink | None"]


class SupervisorView(Protocol):
    """What a service may see and do of the supervisor that it runs beside."""

    def dynos(self) -> Mapping[str, str]:
        """Return the state of every dyno by its name."""

    def reload(self) -> None:
        """Ask the source again."""


class Service(Protocol):
    """Something that runs beside the supervisor, a control socket for example."""

    async def run(self, supervisor: SupervisorView) -> None:
        """Serve until cancelled; an exception is logged and ends the service only."""


ServiceFactory = Callable[[Settings], "Service | None"]


class CommandContext(Protocol):
    """What a plugin's command is given by `click.pass_obj`: the options before its name.

        @click.command()
        @click.option("-a", "--app", metavar="NAME")
        @click.pass_obj
        def releases(context: CommandContext, /, app: str | None) -> None:
            settings = context.settings()
            name = app or settings.app

    An option that was not given has the value of its variable. Those that the command takes
    itself are the command's: `hsup releases -a NAME` is not in `settings`.
    """

    def settings(self) -> Settings:
        """Return what drivers and sources are given, too. Raises UsageError."""

    @property
    def driver(self) -> str:
        """Return the name of the driver."""

    @property
    def source(self) -> str | None:
        """Return the name of the source, None where the strongest claim is meant."""

    @property
    def is_verbose(self) -> bool:
        """Tell whether to say more."""
