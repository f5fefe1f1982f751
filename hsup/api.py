"""The contracts of drivers, sources, log sinks, services and commands.

A plugin's hooks only register factories of such objects (see
`hsup.hookspecs`); hsup calls a factory when the object is needed, at most once
per run. Methods that are `async` run on hsup's only event loop and must never
block it; the others may block, and hsup calls them in a thread while a loop is
running.

If a method raises an exception other than HsupError, or returns another type than here,
hsup reports it with the plugin's name. After 10 s hsup says what it is waiting for. When it
is told to stop a second time, it cancels the calls that it waits for, except `wait` and
`destroy` of a dyno, which get 5 s more. An ability counts unless it is None or False.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from hsup.errors import InvalidRelease, SourceError
from hsup.model import Address, Command, DynoSpec, ExitStatus, Fault, Release

if TYPE_CHECKING:
    from pathlib import Path


class Settings(NamedTuple):
    """What the user asked for, as far as plugins need it.

    `environ` is hsup's own environment as it was at the start: plugins read
    their variables from here. `directory` is the application's directory: hsup's working
    directory, unless the user named another one; with `has_root`, it is looked for nowhere
    else. `procfile` and `env_files` are absolute paths of files that the user named, and
    `expands_env` tells whether references in env files are replaced. With `has_port`, the user
    chose the dynos' ports, and a release's PORT does not count. With `follows_drains`, releases
    are to have the application's own log drains: see `FollowsDrains`. Paths are text: importing
    pathlib would take a twentieth of the time of `hsup run`.
    """

    directory: str
    environ: Mapping[str, str]
    app: str | None = None
    control_socket: str | None = None
    logplex_url: str | None = None
    procfile: str | None = None
    env_files: tuple[str, ...] = ()
    expands_env: bool = False
    has_root: bool = False
    has_port: bool = False
    follows_drains: bool = False


class OutputPipes(Protocol):
    """Where a dyno's output goes: the writing ends of two pipes.

    The driver gives them to the dyno's process, or writes to them itself. hsup
    closes its own copies when `start` has returned; a driver that needs them
    longer duplicates them, and closes the duplicates when the dyno has ended.
    """

    @property
    def stdout(self) -> int:
        """Return the descriptor for the dyno's standard output."""

    @property
    def stderr(self) -> int:
        """Return the descriptor for the dyno's standard error."""


class RunningDyno(Protocol):
    """A dyno that its driver has started.

    Each of its methods may be cancelled, and then called again.
    """

    @property
    def address(self) -> Address | None:
        """Return where the dyno's PORT can be reached from the host, or None."""

    async def wait(self) -> ExitStatus:
        """Return how the dyno's main process ended, once it has.

        May be called more than once, also after `destroy`.
        """

    async def signal(self, number: int) -> None:
        """Send a signal to every process of the dyno; do nothing if none is left."""

    async def destroy(self, grace_seconds: float = 0.0) -> bool:
        """Return when nothing of the dyno is left.

        Processes that still run get `grace_seconds` to end by themselves, and are
        then killed. Nothing left means: no process, mount, interface, cgroup,
        uid lease, container or directory. May be called more than once, also
        while another call waits. Returns whether something had to be killed.
        """


@runtime_checkable
class HasPid(Protocol):
    """The ability of a running dyno to say which process of this machine it is."""

    @property
    def pid(self) -> int:
        """Return the id of its main process."""


class Driver(Protocol):
    """Runs dynos in one particular way."""

    def build(self, release: Release) -> None:
        """Prepare what all dynos of a release share; may block.

        Called before the first dyno of the release starts, and again after a
        failure: it must be idempotent. Raises DriverError.
        """

    async def start(self, spec: DynoSpec, output: OutputPipes) -> RunningDyno:
        """Start a dyno; what it writes goes to `output`, what it reads is `spec.input`.

        Raises DynoStartError, and then leaves nothing behind. May be cancelled wherever it
        waits: it then undoes what it has begun, also in a thread (see
        `hsup.threads.in_thread_or_undone`), and raises CancelledError; hsup waits 5 s for
        that. The `sweep` of a later hsup removes what is still left then. The next dyno of
        the same name starts all the same.
        """


@runtime_checkable
class RunsForeground(Protocol):
    """The ability of a driver to run a dyno on hsup's own standard streams."""

    def run(self, spec: DynoSpec, grace_seconds: float) -> ExitStatus:
        """Run a dyno to its end with the streams, and the terminal, of hsup.

        Blocks; called once, in the main thread, without an event loop. SIGTERM
        and SIGHUP are passed on to every process of the dyno, which then has
        `grace_seconds` to end. On return no process of the dyno is left, and
        everything else has been removed, or is removed by itself. Raises
        DynoStartError. `hsup.foreground` does this for a dyno whose streams pass
        through hsup.
        """


@runtime_checkable
class BindsPaths(Protocol):
    """The ability of a driver to honour `DynoSpec.binds`."""

    binds_paths: bool


@runtime_checkable
class IgnoresSlugs(Protocol):
    """The ability of a driver to run commands in the working directory, whatever the slug.

    hsup warns the user of it, once.
    """

    ignores_slugs: bool


@runtime_checkable
class SharesPorts(Protocol):
    """The ability of a driver to run dynos that listen on the ports of this machine itself.

    hsup warns the user of ports that other programs have.
    """

    shares_ports: bool


@runtime_checkable
class SharesStreams(Protocol):
    """The ability of a driver to give dynos the descriptors of hsup themselves.

    So one may have hsup's own standard input (see `DynoSpec.input`), and the ends of `output` may
    be terminals: isatty(3) tells a dyno.
    """

    shares_streams: bool


@runtime_checkable
class SizesDynos(Protocol):
    """The ability of a driver to honour `DynoSpec.size`."""

    def check_size(self, name: str) -> None:
        """Raise DriverError for a name that is not the name of a size."""


@runtime_checkable
class Sweeps(Protocol):
    """The ability of a driver to sweep the leftovers of a previous hsup."""

    def sweep(self) -> Sequence[str]:
        """Remove the leftovers of every previous hsup; return a text for each.

        Called once, before the first dyno is started. May block. Never touches
        what belongs to another hsup. Running dynos that a driver can adopt (see
        `Adopts`) stay.
        """


@runtime_checkable
class Adopts(Protocol):
    """The ability of a driver to adopt the running dynos of a previous hsup."""

    def keep_only(self, specs: Collection[DynoSpec]) -> Sequence[str]:
        """Remove dynos that a previous hsup left running, except those that match a spec.

        Returns what was removed. Called once, after the first release of `hsup start` is
        built and before its dynos start; `sweep` leaves running dynos for it. May block.
        """

    async def adopt(self, spec: DynoSpec, output: OutputPipes) -> RunningDyno | None:
        """Adopt a dyno that was kept; return None if there is none with this spec.

        What it wrote since its hsup ended goes to `output`, as after `start`. If this is
        cancelled, the dyno is ended, or stays for the next hsup.
        """


@runtime_checkable
class Closes(Protocol):
    """The ability of a driver to release what all its dynos share."""

    def close(self) -> None:
        """Release everything; may block.

        Called once, as the last call, when no dyno is left.
        """


class Execution(Protocol):
    """An exec'd command: it runs inside a running dyno."""

    async def wait(self) -> ExitStatus:
        """Return how the command ended; it ends with its dyno at the latest."""

    async def signal(self, number: int) -> None:
        """Send a signal to its process; do nothing if that has ended."""


@runtime_checkable
class ExecutesInside(Protocol):
    """The ability of a running dyno to exec commands inside it."""

    async def execute(self, command: Command, streams: Sequence[int]) -> Execution:
        """Start a command with the dyno's environment, user and limits.

        `streams` are three descriptors, for its standard input, output and error;
        the caller still owns them. Raises DynoStartError. If this is cancelled, the
        command is ended, and the dyno keeps running.
        """


class Finding(NamedTuple):
    """The result of one check of this machine.

    `remedy` says what to do if `is_good` is false; there is none for something
    that dynos run without.
    """

    subject: str
    is_good: bool
    text: str
    remedy: str | None = None


class Measurement(NamedTuple):
    """What a running dyno uses, all of its processes together; None for what cannot be known.

    The names are those of the platform's runtime metrics. `memory_rss`, `memory_cache` and
    `memory_swap` are the bytes of its memory, of the files that the kernel caches for it, and of
    what is swapped out; none is counted twice. `memory_pgpgin` and `memory_pgpgout` count the
    pages that it has been charged with and relieved of since it was started. `memory_quota` is the
    number of bytes that its size allows. `cpu_seconds` is the time of the processors that it has
    used so far; `runnable` is the number of its threads that run, could run, or wait for a disk,
    from which hsup computes its load.
    """

    memory_rss: int | None = None
    memory_cache: int | None = None
    memory_swap: int | None = None
    memory_pgpgin: int | None = None
    memory_pgpgout: int | None = None
    memory_quota: int | None = None
    cpu_seconds: float | None = None
    runnable: int | None = None

    @property
    def memory_total(self) -> int | None:
        """Return the bytes of memory, cache and swap, as far as they are known."""
        known = [one for one in self[:3] if isinstance(one, int)]
        return sum(known) if known else None


class LoadAverages(NamedTuple):
    """How many threads of a dyno ran or could run, on average over 1, 5 and 15 minutes."""

    load_avg_1m: float = 0.0
    load_avg_5m: float = 0.0
    load_avg_15m: float = 0.0


@runtime_checkable
class Measures(Protocol):
    """The ability of a running dyno to measure what it uses, for runtime metrics."""

    async def measure(self) -> Measurement | None:
        """Return what the dyno uses now, None if it has ended.

        Called about every 20 s while the dyno is up, and cancelled when it ends, or if it takes
        that long; other dynos are measured meanwhile. Raises DriverError.
        """


@runtime_checkable
class Examines(Protocol):
    """The ability of a driver to tell whether this machine has what it needs."""

    def examine(self) -> Sequence[Finding]:
        """Check the machine without changing anything, for `hsup doctor`."""


@runtime_checkable
class Explains(Protocol):
    """The ability of a driver to explain step by step how it would start a dyno here."""

    def explain(self, spec: DynoSpec) -> Sequence[str]:
        """Describe in words what `start` would do, one text per step, in order.

        Called once by `hsup doctor --explain`, before anything is built or started, with a
        made-up dyno: no release has it, its slug is hsup's working directory, and its binds
        and its size are those that the user asked for. May block. Changes nothing, and takes
        no lease: values that each dyno has of its own are made up, too. Values that depend on
        this machine are real. Raises DriverError if something is missing without which the
        steps cannot be known; `Examines` reports all that is missing.
        """


DriverFactory = Callable[[Settings], Driver]


class Fetched(NamedTuple):
    """The answer of a source.

    `release` is the newest good release, None if there is none yet. `rejected`
    is the error of a newer one that is faulty: hsup reports it and runs
    `release` all the same. `warnings` keep nothing from running. `ask_again`
    says that something newer could not be read for now, so that hsup asks again
    after a while. `remedy` says how to make a first release if there is none.
    `failure` says why the source does not know the newest release; observers
    get it each time.
    """

    release: Release | None
    rejected: InvalidRelease | None = None
    warnings: tuple[str, ...] = ()
    ask_again: bool = False
    remedy: str | None = None
    failure: SourceError | None = None


class Source(Protocol):
    """Gives the releases of an application."""

    def fetch(self) -> Fetched:
        """Read the newest release; may block.

        An answer that is equal to the previous one changes nothing. Raises
        SourceError if nothing can be read at the moment: hsup then tries again
        after a while, and keeps the current release running.
        """

    def changes(self) -> AsyncGenerator[None, None]:
        """Yield once at the start, and whenever `fetch` may have a new answer.

        When the first value comes, the source is already being watched, so
        that no change is missed between it and the first `fetch`.
        """


@runtime_checkable
class FollowsFormation(Protocol):
    """The ability of a source factory: its releases say how many dynos should run now.

    Unless the user says otherwise, `hsup start` runs as many.
    """

    follows_formation: bool


@runtime_checkable
class FollowsDrains(Protocol):
    """The ability of a source factory: its sources know the application's own log drains.

    With `Settings.follows_drains`, these are the drains of its releases. hsup warns a user who asks
    for them if the source has not got this ability.
    """

    follows_drains: bool


@runtime_checkable
class KeepsReleases(Protocol):
    """The ability of a source to keep the running release for the next start.

    If hsup starts with the kept release, its release phase is not run again, unless its code
    is a directory, which may have changed. If the first release of a start fails, or there is
    none because of a fault, the kept one runs instead, except with `--oneshot`.
    """

    def keep(self, release: Release) -> None:
        """Keep a release that is about to run: its release phase has passed.

        A slug without a checksum has got that of the archive which the release runs, if a driver
        unpacks it with `hsup.slugs`. May block. Raises SourceError if it cannot be kept; it runs
        all the same.
        """

    def kept(self) -> Release | None:
        """Return the last release that was kept, None if there is none; may block."""


@runtime_checkable
class FetchesSlugs(Protocol):
    """The ability of a source to fetch the slug of a release itself, before it is built.

    It is for slugs whose URL expires. `Slug.location` says where the slug will be.
    """

    def fetch_slug(self, release: Release) -> None:
        """Fetch the slug of a release to this machine, if it has one; may block.

        Called before each build of a release. `fetch` may be called at the same time: once it
        returns a newer release, this call is cancelled (`hsup.cancellation`). Raises
        DriverError for a failure that may pass, another HsupError for one that will not.
        """


class Claim(IntEnum):
    """How strongly a user's settings ask for a source: the strongest claim is used.

    If two sources claim equally, hsup says so, and uses the one whose name sorts first.
    """

    #: Nothing asks for it.
    NONE = 0
    #: It can be used if nothing else applies: an application's name, and a key in ~/.netrc.
    FALLBACK = 1
    #: What it reads is in the working directory: a Procfile.
    FOUND = 2
    #: A variable names what it reads: HSUP_CONTROL_DIR.
    NAMED = 3
    #: A variable has the key to a platform: HEROKU_ACCESS_TOKEN.
    PLATFORM = 4
    #: An option names what it reads: --procfile.
    ASKED = 5


class SourceFactory(Protocol):
    """Says how strongly the settings ask for a source, and creates it."""

    @property
    def remedy(self) -> str:
        """Return how a user chooses this source: `set HSUP_CONTROL_DIR=…`."""

    def applies(self, settings: Settings) -> Claim:
        """Return how strongly the user's settings ask for this source.

        Called before every command that needs a source, unless the user names one. Look only
        at environment variables and at this machine; ask no server.
        """

    def create(self, settings: Settings) -> Source:
        """Create the source. Raises UsageError if a setting is missing."""

    def check(self, path: Path | None, settings: Settings) -> Checked | None:
        """Validate an input without using it, for `hsup check`, and for completion in a shell.

        Look only at environment variables and at this machine; ask no server. `path` is the
        file that the user named: return None for a file of another kind. If it is None, validate
        what `create` would read. Raises SourceError if that cannot be read at all, and UsageError
        if a setting is missing.
        """


class Origin(NamedTuple):
    """Where a part of a release is from: the file, and the place in it, as in a Fault."""

    file: str = ""
    place: str = ""


class Checked(NamedTuple):
    """What was validated, in the user's words, and all its faults.

    `release` is what it describes, if that is a release and nothing is wrong with it. hsup looks
    at what it refuses of any release, such as a variable that is too long, and places it where
    `config_origins` has that config var, and `size_origins` the size of a process type.
    """

    what: str
    faults: tuple[Fault, ...]
    release: Release | None = None
    config_origins: Mapping[str, Origin] = MappingProxyType({})
    size_origins: Mapping[str, Origin] = MappingProxyType({})


#: Replaces a dyno's name in lines that concern no single dyno.
SUPERVISOR = "supervisor"
#: Replaces it in lines about what a person or a source has caused, as on the platform.
API = "api"

_NO_FACTS: Mapping[str, object] = MappingProxyType({})


class LogEvent(NamedTuple):
    """The meaning of a line of hsup's own, for programs.

    `name` is the name of the event: `state_changed`, `exited`, `starting`, `restarting`,
    `stopping`, `killing`, `adopted`, `error`, `release_received`, `config_set`,
    `config_removed`, `deployed`, `scaled`, `release_phase_started`, `release_phase_failed`,
    `release_rejected`, `source_failed`, `supervisor_started`, `supervisor_stopping`,
    `preparing` and `fetching` for a release that takes long, `metrics`, and `warning` or `notice`
    for everything else.
    `state` is the new state of a dyno, in the platform's words; `status` is its exit
    status, as in a shell; `code` is the platform's code for an error, for example R15. `of` is
    the value of `hsup.events` that the line tells, None if there is none. `facts` are what else
    the line says, by name: texts, numbers, and lists and mappings of these.
    """

    name: str
    state: str | None = None
    status: int | None = None
    code: str | None = None
    of: object = None
    facts: Mapping[str, object] = _NO_FACTS


class LogBatch(NamedTuple):
    """Whole lines of one stream of one dyno.

    `lines` are the bytes that the dyno wrote, newlines included. Only two lines
    lack a newline: the last line of a dyno that ended without one, and the last
    one of a batch with `is_partial` set, which the next batch of the stream
    continues. A line comes in pieces if it has more than 1 MiB, or if all dynos
    together have more than 8 MiB of unfinished lines. It is cut between UTF-8
    characters.

    `time` is when hsup read them, in nanoseconds since the epoch. `event` is the
    meaning of a line of hsup's own, None for what a dyno wrote: this alone
    distinguishes them. `source` and `dyno` are the platform's where it has such a line: `app`
    and `web.1` for what a dyno wrote, `heroku` and `web.1` for what happened to it, `app` and
    `api` for what a person or a source has caused. For what the platform does not say, `source`
    is `hsup`, and `dyno` is `web.1`, or `supervisor` if the line is about no single dyno.
    `stream` is `stdout` or `stderr`. `app` and `release` are the application and the version
    that the dyno was started with, None as long as there is no release.
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
    """A destination of log lines."""

    def write(self, batch: LogBatch) -> None:
        """Take a batch; must not block and must not raise."""

    @property
    def is_full(self) -> bool:
        """Tell whether hsup should stop reading output until `drained` returns.

        A sink that drops what it cannot keep is never full.
        """

    async def drained(self) -> None:
        """Return when the sink has room for more.

        No output of any dyno is read until then: a plugin's sink that takes longer than 30 s
        gets no more lines.
        """

    async def close(self) -> None:
        """Deliver what is left, and release everything; called once, last.

        Cancelled if the reader took nothing for a while, or if hsup has to end at
        once: drop the rest then.
        """


LogSinkFactory = Callable[[Settings], "LogSink | None"]


class LogHistory(Protocol):
    """The last lines of all dynos, and of hsup about them.

    There are `--log-history` of them, 1,500 by default, or fewer if they are very long.
    """

    def last(
        self, lines: int, *, dyno: str | None = None, source: str | None = None
    ) -> Sequence[LogBatch]:
        """Return the last lines, at most so many, in order.

        Only those of a dyno, or of a process type, and of a source, if these are given.
        """

    def follow(
        self, lines: int = 0, *, dyno: str | None = None, source: str | None = None
    ) -> AsyncGenerator[LogBatch, None]:
        """Yield the last lines as `last` returns them, and then each that comes, without a gap.

        A follower that is too slow loses lines, about a megabyte behind the others: a batch that
        says so is yielded instead, with the code L11. Close the generator in the end.
        """


class SupervisorView(Protocol):
    """What a service may see of its supervisor, and ask of it."""

    @property
    def history(self) -> LogHistory:
        """Return the last lines."""

    def dynos(self) -> Mapping[str, str]:
        """Return the state of every dyno by its name."""

    def reload(self) -> None:
        """Ask the source again."""


class Service(Protocol):
    """Something that runs alongside the supervisor, for example a control socket."""

    async def run(self, supervisor: SupervisorView) -> None:
        """Serve until cancelled; an exception is logged and ends only the service."""


ServiceFactory = Callable[[Settings], "Service | None"]


class CommandContext(Protocol):
    """What a plugin's command gets from `click.pass_obj`: the options before its name.

        @click.command()
        @click.option("-a", "--app", metavar="NAME")
        @click.pass_obj
        def releases(context: CommandContext, /, app: str | None) -> None:
            settings = context.settings()
            name = app or settings.app

    An option that was not given has the value of its environment variable. Options that the
    command itself takes are its own: `hsup releases -a NAME` is not in `settings`. It is `obj` of
    the click context, too, where a `shell_complete` is asked what may follow.
    """

    def settings(self) -> Settings:
        """Return the settings that drivers and sources get. Raises UsageError."""

    @property
    def driver(self) -> str:
        """Return the name of the driver."""

    @property
    def source(self) -> str | None:
        """Return the name of the source, None for the one with the strongest claim."""

    @property
    def is_verbose(self) -> bool:
        """Tell whether to log what hsup does."""
