"""Write the manual pages of hsup from its commands, those of installed plugins included.

usage: man_pages.py DIRECTORY

A page for each command: `hsup.1`, `hsup-start.1`, `hsup-stacks-import.1`. What they say is what
`--help` says, and the exit statuses are those of docs/reference/exit-statuses.md. The format is
that of man 7 man.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from hsup import __version__
from hsup.cli.commands import hsup
from hsup.cli.shared import SHARED_OPTIONS, SharingCommand

_STATUSES = Path(__file__).parent / "reference/exit-statuses.md"

#: What troff takes for something else than a character, or replaces by a typographic one (man 7
#: groff_char).
_CHARACTERS = str.maketrans(
    {
        "\\": r"\e",
        "-": r"\-",
        "'": r"\(aq",
        "`": r"\(ga",
        "^": r"\(ha",
        "~": r"\(ti",
    }
)
#: What is set bold in prose: code, options, variables.
_CODE = re.compile(r"`([^`]+)`|(?<![\w/-])(--[a-z][a-z-]*|[A-Z]+_[A-Z_]+)(?!\w)")
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")
#: A block of an epilog that is a section of its own: `Examples:`, `Signals: TERM and INT …`.
_TITLED = re.compile(r"([A-Z][a-z]+):\s(.*)", re.DOTALL)


def main() -> None:
    """Write all pages into the directory that the command line names."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for name, page in pages().items():
        (directory / f"{name}.1").write_text(page, encoding="utf-8")


def pages() -> dict[str, str]:
    """Return the page of each command by its name, `hsup-start` for one."""
    root = click.Context(hsup, info_name="hsup", **hsup.context_settings)
    contexts = tuple(_with_inner(root))
    names = [_name(one) for one in contexts]
    return {_name(one): "\n".join((*_page(one, names), "")) for one in contexts}


def _with_inner(context: click.Context) -> Iterator[click.Context]:
    """Yield the context of a command, then of each command in it that is not hidden."""
    yield context
    for name, command in _inner(context):
        inner = click.Context(command, info_name=name, parent=context, **command.context_settings)
        yield from _with_inner(inner)


def _inner(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            command = context.command.get_command(context, name)
            if command is not None and not command.hidden:
                yield name, command


def _name(context: click.Context) -> str:
    return context.command_path.replace(" ", "-")


def _page(context: click.Context, names: Iterable[str]) -> Iterator[str]:
    """Yield the lines of the page of a command; `names` are those of all pages."""
    command = context.command
    summary, *paragraphs = _paragraphs(command.help or "")
    first, _, rest = summary.partition(". ")
    title, version = troff(_name(context).upper()), troff(__version__)
    yield f'.TH "{title}" 1 {_date()} "hsup {version}" "User Commands"'
    yield from _section("NAME")
    yield rf"{troff(_name(context))} \- {troff(first[:1].lower() + first[1:].rstrip('.'))}"
    yield from _section("SYNOPSIS")
    yield f".B {troff(context.command_path)}"
    yield _prose(" ".join(command.collect_usage_pieces(context)))
    yield from _section("DESCRIPTION")
    for paragraph in (f"{first.rstrip('.')}.", rest, *paragraphs):
        yield from _paragraph(paragraph) if paragraph else ()
    yield from _commands(context)
    yield from _options(context)
    yield from _epilog(command.epilog or "")
    yield from _section("EXIT STATUS")
    yield from _statuses(context)
    yield from _section("SEE ALSO")
    yield from _references(_related(context, names))


def _commands(context: click.Context) -> Iterator[str]:
    commands = tuple(_inner(context))
    if commands:
        yield from _section("COMMANDS")
    for name, command in commands:
        yield ".TP"
        yield from _references([f"{_name(context)}-{name}"])
        yield _prose(_paragraphs(command.help or "")[0])


def _options(context: click.Context) -> Iterator[str]:
    command = context.command
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    yield from _section("OPTIONS")
    yield from _entries(context, (one for one in options if one not in SHARED_OPTIONS))
    if context.parent is None:
        yield ".SS Options of every command, before or after its name"
        yield from _entries(context, SHARED_OPTIONS)
    elif isinstance(command, SharingCommand):
        yield from _paragraph("Options of every command, such as --driver, are in")
        yield ".BR hsup (1)."


def _entries(context: click.Context, options: Iterable[click.Option]) -> Iterator[str]:
    for option in options:
        if record := option.get_help_record(context):
            names, text = record
            yield ".TP"
            yield " ".join(map(_option_word, names.split()))
            yield _prose(" ".join(text.split()))


def _option_word(word: str) -> str:
    """Return a word of an option's names: the names bold, what they take in italics."""
    if word == "/":
        return word
    name = word.removesuffix(",")
    return rf"\f{'B' if name.startswith('-') else 'I'}{troff(name)}\fR{word[len(name) :]}"


def _epilog(epilog: str) -> Iterator[str]:
    """Yield the sections of an epilog; examples are set as they are."""
    for block in filter(None, map(inspect.cleandoc, re.split("\b|\n\n", epilog))):
        titled = _TITLED.fullmatch(block)
        title, text = titled.groups() if titled else ("Notes", block)
        yield from _section(title.upper())
        if title == "Examples":
            yield from (".EX", *map(troff, inspect.cleandoc(text).splitlines()), ".EE")
        else:
            yield from _paragraph(text)


def _statuses(context: click.Context) -> Iterator[str]:
    """Yield what the exit statuses of a command mean, from the page about them."""
    sections = dict(re.findall(r"^## (.*)\n([^#]*)", _STATUSES.read_text("utf-8"), re.MULTILINE))
    own = sections.get(f"`{context.command_path}`")
    if own is not None:
        for block in own.strip().split("\n\n"):
            yield from _table(block) if block.startswith("|") else _paragraph(block)
        return
    others = {cells[0]: cells for cells in _rows(sections["Other commands"])}
    zero, one = others.get(f"`{context.command_path}`", others["all others"])[1:]
    meanings = {"0": zero, "1": one, "2": "the command line or a variable is wrong"}
    if context.parent is None:
        meanings["any other"] = "see the page of the command"
    yield from _entry_list(meanings.items())


def _table(block: str) -> Iterator[str]:
    yield from _entry_list((cells[0], cells[1]) for cells in _rows(block))


def _rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables of a page, without their heads."""
    rows = (line for line in text.splitlines() if line.startswith("| "))
    for row in list(rows)[2:]:
        yield [cell.strip() for cell in row.strip("|").split("|")]


def _entry_list(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, text in entries:
        yield from (".TP", rf"\fB{troff(term.replace('`', ''))}\fR", _prose(text))


def _related(context: click.Context, names: Iterable[str]) -> list[str]:
    """Return the pages that a page refers to: of the commands above it, and of those in it."""
    own = _name(context)
    return [one for one in names if own.startswith(f"{one}-") or one.rpartition("-")[0] == own]


def _references(names: Iterable[str]) -> Iterator[str]:
    *others, last = (rf"\%{troff(name)}" for name in names)  # which are not hyphenated
    yield from (f".BR {one} (1)," for one in others)
    yield f".BR {last} (1)"


def _section(title: str) -> tuple[str]:
    return (f".SH {title}",)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(one.split()) for one in inspect.cleandoc(text).split("\n\n")]


def _paragraph(text: str) -> tuple[str, str]:
    return ".PP", _prose(" ".join(text.split()))


def _prose(text: str) -> str:
    """Return a line of text, in which code, options and variables are bold."""
    plain = _LINK.sub(r"\1", text)
    parts = _CODE.split(plain)  # text, then code and what else is bold, one of them None
    written = [troff(parts[0])]
    for code, name, after in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        written.append(rf"\fB{troff(code or name)}\fR{_escaped(after)}")
    return "".join(written)


def troff(text: str) -> str:
    """Return text as a line that troff prints as it is."""
    return rf"\&{_escaped(text)}" if text.startswith((".", "'")) else _escaped(text)


def _escaped(text: str) -> str:
    return text.translate(_CHARACTERS)


def _date() -> str:
    """Return the date of the page: the one that a package is built for, or today."""
    seconds = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return troff(time.strftime("%Y-%m-%d", time.gmtime(seconds)))


if __name__ == "__main__":
    main()
