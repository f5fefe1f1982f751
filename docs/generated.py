"""Make parts of the pages from the code, so that they cannot say anything else.

A page has a line `<!-- generated: NAME -->` where the part called NAME goes.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from hsup import events
from hsup.api import LogBatch
from hsup.archives.errors import ChecksumError
from hsup.cli.commands import COMMANDS, hsup
from hsup.cli.shared import SHARED_OPTIONS
from hsup.errors import InvalidRelease, ReleaseFailed, SourceError
from hsup.lifecycle import TABLE, State
from hsup.model import Command, DynoName, ExitStatus, Fault, Release
from hsup.output import causes, messages
from hsup.output.lines import Line
from hsup.output.screen import ScreenFormatter
from hsup.sizes import SIZES, Size
from tests.peers.env_constructs import ENV_CONSTRUCTS
from tests.peers.procfile_constructs import PROCFILE_CONSTRUCTS

ROOT = Path(__file__).parent.parent
_MARK = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)

#: What the text of an option's help ends with, see `hsup.cli.shared`.
_DEFAULT = re.compile(r"\s*\[default: ([^]]+)\]")
_VARIABLE = re.compile(r"\s*\[([A-Z_]+)\]$")

_MIB = 1 << 20


def fill_in(_app: object, _page: str, source: list[str]) -> None:
    """Put the generated parts into a page; called by Sphinx, which uses `source` afterwards."""
    source[0] = _MARK.sub(lambda mark: PARTS[mark[1]](), source[0])


def shared_options() -> str:
    """Return the table of the options that every command takes."""
    return _table(("option", "variable", "meaning", "default"), map(_option, SHARED_OPTIONS))


def commands() -> str:
    """Return a section for each command, with those of plugins that are in this repository."""
    own = {name: hsup.get_command(click.Context(hsup), name) for name in COMMANDS}
    found = {**own, **plugin_commands()}
    return "\n\n".join(
        section
        for name, command in found.items()
        if command is not None
        for section in _sections(command, f"hsup {name}")
    )


def plugin_commands() -> Mapping[str, click.Command]:
    """Return what the plugins of this repository register, installed or not."""
    found: dict[str, click.Command] = {}
    for path in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        points = tomllib.loads(path.read_text())["project"]["entry-points"]["hsup"]
        for module in points.values():
            register = getattr(importlib.import_module(module), "hsup_register_commands", tuple)
            found |= {str(command.name): command for command in register()}
    return found


def sizes() -> str:
    """Return the table of the sizes, those that have the same in one row."""
    alike: dict[Size, list[str]] = {}
    for size in SIZES.values():
        alike.setdefault(size._replace(name=""), []).append(f"`{size.name}`")
    rows = [
        (
            ", ".join(names),
            _bytes(size.memory),
            _bytes(size.hard_limit),
            f"{size.pids:,}",
            f"{size.cpus}{'' if size.is_dedicated else ', shared'}",
            str(size.weight),
        )
        for size, names in alike.items()
    ]
    heads = ("size", "memory", "with swap", "processes and threads", "`nproc`", "cpu weight")
    return _table(heads, rows)


def log_lines() -> str:
    """Return the table of what hsup says of dynos and releases, with an example of each."""
    told = (*map(messages.narrate, _EVENTS), *((who, (line,)) for who, line in _LINES))
    rows = dict.fromkeys(row for who, lines in told for row in _rows(who, lines))
    ordered = sorted(rows, key=lambda row: _SOURCES.index(row[0].partition("[")[0]))
    return _table(("source", "line", "event", "in `screen`"), ordered)


#: In the order of the table.
_SOURCES = ("`heroku", "`app", "`hsup")


def _rows(who: str, lines: Sequence[Line]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows for lines about the same event, of which the screen may print one."""
    form = ScreenFormatter(coloured=False, has_prefix=False)
    for line in lines:
        text = f"{line.text}\n".encode()
        told = form(LogBatch(0, line.source, who, "stdout", text, event=line.event))
        shown = _literal(told.decode().rstrip("\n")) if told else "nothing"
        yield f"`{line.source}[{who}]`", _literal(line.text), _event(line), shown


def lifecycle() -> str:
    """Return the table of the states of a dyno."""
    rows = [
        (f"`{state.value}`", given.value, f"`{then.state.value}`", then.action.value)
        for (state, given), then in TABLE.items()
    ]
    return _table(("state", "input", "next state", "action"), rows)


def env_dialects() -> str:
    """Return the table of what programs make of lines of `.env` files."""
    heads = ("in `.env`", "hsup", "foreman", "honcho", "node-foreman", "dotenv")
    return _table(heads, (one.row for one in ENV_CONSTRUCTS if one.on_page))


def procfile_dialects() -> str:
    """Return the table of what programs run for lines of Procfiles."""
    heads = ("in a Procfile", "hsup", "foreman", "honcho", "node-foreman")
    return _table(heads, (one.row for one in PROCFILE_CONSTRUCTS if one.on_page))


def modules() -> str:
    """Return a section for each package: what each module is for, as its docstring says."""
    sections = []
    for top in (ROOT / "hsup", *sorted(ROOT.glob("plugins/*/hsup_*"))):
        for init in sorted(top.rglob("__init__.py"), key=lambda path: path.parent):
            package = init.parent
            modules = sorted(package.glob("[!_]*.py"))
            rows = [(f"`{path.name}`", _first_line(path)) for path in modules]
            heading = f"## {package.relative_to(top.parent)}"
            table = _table(("file", "responsibility"), rows) if rows else ""
            sections.append(f"{heading}\n\n{_first_line(init)}\n\n{table}")
    return "\n\n".join(sections)


def _first_line(module: Path) -> str:
    docstring = ast.get_docstring(ast.parse(module.read_bytes())) or ""
    return docstring.partition("\n")[0].replace("<", "&lt;").replace("*", "\\*")


_RELEASE = Release(
    app="shop",
    version=4,
    config={"A": "1", "B": "2"},
    metadata={"HEROKU_SLUG_COMMIT": "1a2b3c4d5e6f708192a3b4c5d6e7f80910111213"},
)
_RECEIVED = events.ReleaseReceived(
    release=_RELEASE,
    formation={"web": events.Scale(2, "standard-1x"), "worker": events.Scale(0, "standard-1x")},
    previous=events.ReleaseReceived(release=Release(app="shop", version=3, config={"C": "3"})),
)
_CHECKSUM_ERROR = ChecksumError("ed57…", "9ca1…", hint="release the slug again")
_WEB = DynoName("web", 1)
_changed = partial(events.DynoStateChanged, dyno=_WEB)
_FAILED, _KILLED = ExitStatus(code=1), ExitStatus(signal=9)
_OUT_OF_MEMORY = ExitStatus(signal=9, out_of_memory=True)
_STATES = (
    _changed(before=State.STARTING, after=State.UP, pid=4711, address=("127.0.0.1", 5000)),
    _changed(before=State.UP, after=State.CRASHED, status=_FAILED, restart_seconds=4),
    _changed(before=State.UP, after=State.CRASHED, status=_KILLED, restart_seconds=0),
    _changed(before=State.UP, after=State.CRASHED, status=_OUT_OF_MEMORY, restart_seconds=2),
    _changed(
        before=State.STARTING,
        after=State.CRASHED,
        reason="cannot mount /proc: Operation not permitted",
        code=messages.PLATFORM_ERROR_CODE,
        restart_seconds=1,
    ),
    _changed(before=State.CRASHED, after=State.PROVISIONING),
    _changed(before=State.UP, after=State.RESTARTING),
    _changed(before=State.RESTARTING, after=State.PROVISIONING),
    _changed(before=State.UP, after=State.COMPLETE, status=ExitStatus(code=0)),
    _changed(before=State.STOPPING, after=State.STOPPED, status=ExitStatus(signal=15)),
    _changed(before=State.STOPPING, after=State.STOPPED, status=_FAILED),
    _changed(before=State.STOPPING, after=State.STOPPED, status=_KILLED),
)

#: An example of everything that can happen, in the order in which it might.
_EVENTS: Sequence[events.Event] = (
    events.SupervisorStarted(source="procfile", driver="simple"),
    _RECEIVED,
    events.ReleaseRejected(error=_CHECKSUM_ERROR, running=3),
    events.ReleaseRejected(error=ReleaseFailed(_RELEASE, "exited with status 1"), running=3),
    events.ReleaseRejected(
        error=InvalidRelease("cannot read Procfile", [Fault("line 2", "the command is missing")]),
        running=None,
        starting=3,
    ),
    events.SourceFailed(error=SourceError("cannot read /srv/shop: Permission denied"), running=3),
    *_STATES,
    events.DynoExited(dyno=_WEB, status=ExitStatus(code=1)),
    events.DynoExited(dyno=_WEB, status=_OUT_OF_MEMORY),
    events.SupervisorStopping(reason="SIGTERM received"),
)
_LINES = (
    ("api", causes.release_phase_started(_RELEASE)),
    ("api", causes.release_phase_failed(_RELEASE)),
    ("web.1", messages.starting(Command(("bundle exec puma",)))),
    ("web.1", messages.ADOPTED),
    ("web.1", messages.STOPPING),
    ("web.1", messages.exit_timeout(30)),
    ("web.1", messages.KILLING),
)

PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "env-dialects": env_dialects,
    "lifecycle": lifecycle,
    "log-lines": log_lines,
    "modules": modules,
    "procfile-dialects": procfile_dialects,
    "shared-options": shared_options,
    "sizes": sizes,
}


def _sections(command: click.Command, called: str) -> Iterator[str]:
    """Yield the section of a command, then those of the commands in it."""
    yield _section(command, called)
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from _sections(inner, f"{called} {name}")


def _section(command: click.Command, called: str) -> str:
    # Commands inherit the names of the help option; click keeps what it has found.
    above = click.Context(hsup, **hsup.context_settings)
    context = click.Context(command, info_name=called, parent=above)
    usage = f"{called} {' '.join(command.collect_usage_pieces(context))}"
    own = [
        one for one in command.params if isinstance(one, click.Option) and one not in SHARED_OPTIONS
    ]
    parts = [
        f"### {called}",
        f"```text\n{usage}\n```",
        _prose(inspect.cleandoc(command.help or "")),
        _table(("option", "variable", "meaning", "default"), map(_option, own)) if own else "",
        _examples(command.epilog or ""),
    ]
    return "\n\n".join(part for part in parts if part)


def _option(option: click.Option) -> Sequence[str]:
    """Return the cells for an option: its names, its variable, and what its help says."""
    names, _ = option.get_help_record(click.Context(click.Command("hsup"))) or ("", "")
    text = option.help or ""
    default, variable = _DEFAULT.search(text), _VARIABLE.search(text)
    without = f"`{option.default}`" if option.show_default else "none"
    return (
        ", ".join(f"`{one.strip()}`" for one in re.split(r"[,/](?= ?-)", names)),
        f"`{variable[1]}`" if variable else "",
        _prose(_VARIABLE.sub("", _DEFAULT.sub("", text))),
        _prose(default[1]) if default else "off" if _is_switch(option) else without,
    )


def _is_switch(option: click.Option) -> bool:
    return option.is_flag or bool(option.secondary_opts)


def _examples(epilog: str) -> str:
    """Return the epilog of a command, in which a backspace begins what is set as it is."""
    blocks = [block.strip("\n") for block in epilog.split("\b")]
    return "\n\n".join(
        f"```text\n{block}\n```" if block.startswith("Examples:") else _prose(block)
        for block in blocks
        if block.strip()
    )


def _event(line: Line) -> str:
    name, state, status, code, _, facts = line.event
    also = {"state": state, "status": status, "code": code}
    more = ", ".join(f"{key} `{value}`" for key, value in also.items() if value is not None)
    named = ", ".join(f"`{fact}`" for fact in facts)
    return f"`{name}`" + (f": {more}" if more else "") + (f"; {named}" if named else "")


def _literal(text: str) -> str:
    """Return a text as code, though it may have backticks in it."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _prose(text: str) -> str:
    """Return a text of click's as Markdown: names of variables and options as code."""
    words = re.split(r"(`[^`]*`)", text.replace("\b", ""))
    code = re.compile(r"(?<![\w/`-])(--[a-z][a-z-]*|[A-Z]+_[A-Z_]+)(?![\w`])")
    shown = (one if one.startswith("`") else code.sub(r"`\1`", one) for one in words)
    return "".join(shown).replace("<", "&lt;").replace("*", "\\*").strip()


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_cell(one) for one in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _bytes(number: int) -> str:
    return f"{number // _MIB} MB" if number < 1 << 30 else f"{number / (1 << 30):g} GB"
