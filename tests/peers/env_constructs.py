r"""Lines of `.env` files that programs read differently, and what each program makes of them.

The lines are our own. What foreman 0.87.2, honcho 2.0.0, node-foreman 3.0.1 (npm: foreman) and
dotenv 18.0.10 (npm) make of them was seen by running them: `make peers` does so again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Fails(NamedTuple):
    """The file cannot be read, and nothing is run."""


FAILS = Fails()

#: A value; None if there is no such variable.
Cell = str | Fails | None


class EnvConstruct(NamedTuple):
    """What is in a file, and the value of `A` afterwards; `shown` is Markdown.

    `warns` tells whether hsup warns of it, and `on_page` whether the guide shows it.
    """

    shown: str
    content: str | bytes
    hsup: Cell
    foreman: Cell
    honcho: Cell
    node_foreman: Cell
    dotenv: Cell
    warns: bool = False
    on_page: bool = False

    @property
    def file(self) -> bytes:
        """Return the file."""
        return self.content if isinstance(self.content, bytes) else self.content.encode()

    @property
    def row(self) -> Sequence[str]:
        """Return the row of the guide's table, as Markdown."""
        return self.shown, *self._cells()

    def _cells(self) -> Iterator[str]:
        hsup = "fault" if self.hsup is FAILS else _shown(self.hsup)
        yield f"{hsup}, warning" if self.warns else hsup
        yield from map(_shown, (self.foreman, self.honcho, self.node_foreman, self.dotenv))


def _shown(cell: Cell) -> str:
    if isinstance(cell, Fails):
        return "fails"
    return "not set" if cell is None else f"`{cell}`".replace("\n", "⏎")


def _alike(shown: str, content: str, value: str | None, *, warns: bool = False) -> EnvConstruct:
    """Return what all programs read alike."""
    return EnvConstruct(shown, content, value, value, value, value, value, warns=warns)


_URL = "postgres://u:p%40w@h:5432/d?a=b&c=d"

#: shown, content, hsup, foreman, honcho, node-foreman, dotenv
ENV_CONSTRUCTS = (
    # What a line is.
    _alike("no newline at the end", "A=x", "x"),
    _alike("`#A=x`", "#A=x\n  # A=y\n", None),
    _alike("`A=x`, then `A=y`", "A=x\nA=y\n", "y", warns=True),
    EnvConstruct("`export A=x`", "export A=x\n", "x", None, None, None, "x", on_page=True),
    EnvConstruct("`A: x`", "A: x\n", None, None, None, None, "x", warns=True, on_page=True),
    EnvConstruct("`A = x`", "A = x\n", "x", None, "x", "x", "x", on_page=True),
    EnvConstruct("`A=` and nothing", "A=\n", "", "", None, None, ""),
    # Values without quotes.
    EnvConstruct("blanks at the end", "A=x \t \n", "x", "x \t ", "x", "x", "x"),
    EnvConstruct("`A=x # y`", "A=x # y\n", "x", "x # y", "x", "x", "x", on_page=True),
    EnvConstruct("`A=x#y`", "A=x#y\n", "x#y", "x#y", "x", "x", "x", on_page=True),
    EnvConstruct("a URL", f"A={_URL}#e\n", f"{_URL}#e", f"{_URL}#e", _URL, _URL, _URL),
    EnvConstruct("`A=x y`", "A=x y\n", "x y", "x y", "xy", "x y", "x y", on_page=True),
    EnvConstruct("`A=é ✓`", "A=é ✓\n", "é ✓", "é ✓", "é✓", "é ✓", "é ✓"),
    EnvConstruct("`A=it's`", "A=it's\n", "it's", "it's", FAILS, "it's", "it's"),
    EnvConstruct(r"`A=it\'s`", "A=it\\'s\n", "it's", r"it\'s", "it's", r"it\'s", r"it\'s"),
    EnvConstruct(r"`A=C:\new`", "A=C:\\new\n", r"C:\new", r"C:\new", "C:new", r"C:\new", r"C:\new"),
    # Quotes.
    _alike('`A="x # y"`', 'A="x # y"\n', "x # y"),
    EnvConstruct('`A="x" # y`', 'A="x" # y\n', "x", '"x" # y', "x", "x", "x", on_page=True),
    EnvConstruct("`A='x' y`", "A='x' y\n", FAILS, "'x' y", "xy", "x", "'x' y"),
    EnvConstruct(r"`A='x\ny'`", "A='x\\ny'\n", r"x\ny", r"x\ny", "x\ny", r"x\ny", r"x\ny"),
    EnvConstruct(
        r'`A="x\ny"`', 'A="x\\ny"\n', "x\ny", "x\ny", "x\ny", r"x\ny", "x\ny", on_page=True
    ),
    EnvConstruct(
        r'`A="C:\new"`', 'A="C:\\new"\n', "C:\new", "C:\new", "C:\new", r"C:\new", "C:\new"
    ),
    EnvConstruct(r'`A="\"\$"`', 'A="\\"\\$"\n', '"$', '"$', r'"\$', "\\", r"\"\$", on_page=True),
    EnvConstruct(
        """`A='it'"'"'s'`""",
        "A='it'\"'\"'s'\n",
        "it's",
        """it'"'"'s""",
        "it's",
        "it",
        """it'"'"'s""",
        on_page=True,
    ),
    EnvConstruct(
        r"`A=$'x\ny'`",
        "A=$'x\\ny'\n",
        "x\ny",
        r"$'x\ny'",
        "$x\ny",
        r"$'x\ny'",
        r"$'x\ny'",
    ),
    EnvConstruct(
        '`A="x⏎y"`, on two lines', 'A="x\ny"\n', "x\ny", '"x', FAILS, FAILS, "x\ny", on_page=True
    ),
    EnvConstruct(
        "a quote that is never closed", 'A="x\nB=y\n', FAILS, '"x', FAILS, FAILS, '"x', on_page=True
    ),
    # What looks like something else.
    _alike("`A=${B}`", "B=x\nA=${B}\n", "${B}", warns=True)._replace(on_page=True),
    _alike("`A=$PATH:/x`", "A=$PATH:/x\n", "$PATH:/x", warns=True),
    _alike("`A=pa$$word`", "A=pa$$word\n", "pa$$word"),
    EnvConstruct(
        '`A={"b": 1}`', 'A={"b": 1}\n', '{"b": 1}', '{"b": 1}', "{b:1}", '{"b": 1}', '{"b": 1}'
    ),
    EnvConstruct(
        '`A={"b": "c #d"}`',
        'A={"b": "c #d"}\n',
        '{"b": "c',
        '{"b": "c #d"}',
        "{b:c #d}",
        '{"b": "c',
        '{"b": "c',
        warns=True,
        on_page=True,
    ),
    # Whole files.
    _alike("Windows line endings", "B='y'\r\nA='x'\r\n", "x"),
    EnvConstruct("the same within quotes", 'A="x\r\ny"\r\n', "x\ny", '"x', FAILS, FAILS, "x\ny"),
    EnvConstruct("a carriage return", "A='x\ry'\n", "x\ry", "x\ry", FAILS, "x\ry", "x\ny"),
    EnvConstruct("a byte order mark", "\ufeffA=x\n", "x", None, None, "x", "x", on_page=True),
    EnvConstruct(
        "a file in UTF-16", "A=x\n".encode("utf-16"), FAILS, FAILS, FAILS, FAILS, None, on_page=True
    ),
    EnvConstruct("a file in JSON", '{"A": "x"}\n', FAILS, None, None, "x", None, on_page=True),
    EnvConstruct("an array in JSON", '[{"A": "x"}]\n', FAILS, None, None, None, None),
)
