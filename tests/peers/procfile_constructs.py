r"""What stands in Procfiles, and which processes each program runs for it.

The lines are our own. What foreman 0.87.2, honcho 2.0.0 and node-foreman 3.0.1 (npm: foreman) run
for them was seen by running them: `make peers` does so again. Every command calls `serve`, which
tells its process type and its words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

#: What is run, as `type: words`, sorted.
Cell = tuple[str, ...]

#: Either the program fails, or it says something and does nothing.
NOTHING: Cell = ()
WEB: Cell = ("web: serve",)
JOB: Cell = ("job: serve",)
BOTH: Cell = JOB + WEB


class ProcfileConstruct(NamedTuple):
    """What is in a file, and what is run; `shown` is Markdown.

    `SERVE` in the file stands for the path of `serve`. `warns` tells whether hsup warns of it, and
    `on_page` whether the guide shows it.
    """

    shown: str
    content: str | bytes
    hsup: Cell
    foreman: Cell
    honcho: Cell
    node_foreman: Cell
    warns: bool = False
    on_page: bool = False

    def file(self, serve: str) -> bytes:
        """Return the file, with the path of `serve` in it."""
        content = self.content if isinstance(self.content, bytes) else self.content.encode()
        return content.replace(b"SERVE", serve.encode())

    @property
    def row(self) -> Sequence[str]:
        """Return the row of the guide's table, as Markdown."""
        return self.shown, *self._cells()

    def _cells(self) -> Iterator[str]:
        hsup = _shown(self.hsup) if self.hsup else "fault"
        yield f"{hsup}, warning" if self.warns else hsup
        yield from map(_shown, (self.foreman, self.honcho, self.node_foreman))


def _shown(cell: Cell) -> str:
    return ", ".join(f"`{one}`" for one in cell) or "nothing"


def _alike(shown: str, content: str, cell: Cell, *, warns: bool = False) -> ProcfileConstruct:
    """Return what all programs run alike."""
    return ProcfileConstruct(shown, content, cell, cell, cell, cell, warns=warns)


#: shown, content, hsup, foreman, honcho, node-foreman
PROCFILE_CONSTRUCTS = (
    # What a line is.
    _alike("comments and empty lines", "# what runs\n\nweb: serve\n", WEB),
    _alike("no newline at the end", "web: serve", WEB),
    _alike("Windows line endings", "web: serve\r\njob: serve\r\n", BOTH),
    ProcfileConstruct(
        "a line of blanks", "web: serve\n \t\njob: serve\n", BOTH, BOTH, BOTH, NOTHING, on_page=True
    ),
    ProcfileConstruct(
        "blanks before `web: serve`",
        "  web: serve\njob: serve\n",
        BOTH,
        JOB,
        JOB,
        NOTHING,
        on_page=True,
    ),
    ProcfileConstruct(
        "a byte order mark before `web: serve`",
        "\ufeffweb: serve\njob: serve\n",
        BOTH,
        JOB,
        JOB,
        NOTHING,
        on_page=True,
    ),
    ProcfileConstruct(
        "a file in UTF-16", "web: serve\n".encode("utf-16"), NOTHING, NOTHING, NOTHING, NOTHING
    ),
    # Names and colons.
    _alike("`web:serve`", "web:serve\n", WEB, warns=True),
    _alike("a tab after the colon, blanks at the end", "web:\tserve  \n", WEB),
    _alike("`My_Web-2: serve`", "My_Web-2: serve\n", ("My_Web-2: serve",), warns=True),
    _alike("`release:`", "release: serve 1\nweb: serve 2\n", ("release: serve 1", "web: serve 2")),
    ProcfileConstruct(
        "`web: serve 1`, then `web: serve 2`",
        "web: serve 1\nweb: serve 2\n",
        ("web: serve 2",),
        ("web: serve 1", "web: serve 2"),
        NOTHING,
        ("web: serve 2",),
        warns=True,
        on_page=True,
    ),
    ProcfileConstruct(
        "`web : serve`", "web : serve\njob: serve\n", NOTHING, JOB, JOB, NOTHING, on_page=True
    ),
    ProcfileConstruct("`web serve`", "web serve\njob: serve\n", NOTHING, JOB, JOB, NOTHING),
    ProcfileConstruct("`web:` and nothing", "web:\njob: serve\n", NOTHING, JOB, JOB, NOTHING),
    ProcfileConstruct("`my.web: serve`", "my.web: serve\njob: serve\n", NOTHING, JOB, JOB, NOTHING),
    ProcfileConstruct(
        "`-web: serve`",
        "-web: serve\n",
        NOTHING,
        ("-web: serve",),
        ("-web: serve",),
        ("-web: serve",),
    ),
    # What was not meant as a process.
    ProcfileConstruct(
        r"`web: serve \`, then `--bind x`",
        "web: serve \\\n  --bind x\njob: serve\n",
        NOTHING,
        ("job: serve", "web: serve \\"),
        ("job: serve", "web: serve \\"),
        NOTHING,
        on_page=True,
    ),
    ProcfileConstruct(
        r"`web: serve \`, then `--bind: serve`",
        "web: serve \\\n--bind: serve\n",
        NOTHING,
        ("--bind: serve", "web: serve \\"),
        ("--bind: serve", "web: serve \\"),
        ("--bind: serve", "web: serve \\"),
        on_page=True,
    ),
    ProcfileConstruct(
        "a line of prose", "What runs\nweb: serve\n", NOTHING, WEB, WEB, NOTHING, on_page=True
    ),
    ProcfileConstruct("Markdown", "```\nweb: serve\n```\n", NOTHING, WEB, WEB, NOTHING),
    ProcfileConstruct("`A=x`", "A=x\nweb: serve\n", NOTHING, WEB, WEB, NOTHING),
    ProcfileConstruct(
        "a URL",
        "https:/SERVE\n",
        NOTHING,
        ("https: serve",),
        ("https: serve",),
        ("https: serve",),
    ),
    _alike("prose with a colon", "Note: serve is slow\n", ("Note: serve is slow",), warns=True),
    # Commands, which a shell runs.
    _alike("`$PORT`", "web: serve $PORT ${NONE:-x}\n", ("web: serve 5000 x",)),
    _alike("quotes", """web: serve "a  b" 'c "d"' \\#\n""", ('web: serve a  b c "d" #',)),
    _alike("`#` in a command", "web: serve a#b # c\n", ("web: serve a#b",)),
    _alike("`cd`, `&&` and a pipe", "web: cd / && true | serve\n", WEB),
    _alike("a variable before the command", "web: A=x serve\n", WEB),
)
