"""Lines of `.env` files that programs read differently, and what each makes of them.

The words are our own. What honcho 2.0 and python-dotenv 1 make of them was seen by running both.
"""

from __future__ import annotations

from typing import NamedTuple


class Fails(NamedTuple):
    """The whole file cannot be read."""


class Construct(NamedTuple):
    """What is in a file, and the value of `A` afterwards: None if there is no such variable."""

    shown: str
    text: str
    hsup: str | Fails | None
    honcho: str | Fails | None
    dotenv: str | Fails | None


FAILS = Fails()

CONSTRUCTS = (
    Construct("`A=${B}`", "B=1\nA=${B}\n", "${B}", "${B}", "1"),
    Construct("`A=$B`", "B=1\nA=$B\n", "$B", "$B", "$B"),
    Construct("`A=x # y`", "A=x # y\n", "x", "x", "x"),
    Construct("`A=x#y`", "A=x#y\n", "x#y", "x", "x#y"),
    Construct("`A=`", "A=\n", "", None, ""),
    Construct("`A = x`", "A = x\n", "x", "x", "x"),
    Construct(r'`A="x\ny"`', 'A="x\\ny"\n', "x\ny", "x\ny", "x\ny"),
    Construct("quotes around two lines", 'A="x\ny"\n', "x\ny", FAILS, "x\ny"),
    Construct(r'`A="\$x"`', 'A="\\$x"\n', "$x", "\\$x", "\\$x"),
    Construct("""`A='it'"'"'s'`""", "A='it'\"'\"'s'\n", "it's", "it's", None),
    Construct("`export A=x`", "export A=x\n", "x", None, "x"),
    Construct("a quote that is never closed", 'A="x\n', FAILS, FAILS, None),
    Construct("a byte order mark", "\N{ZERO WIDTH NO-BREAK SPACE}A=x\n", "x", None, "x"),
    Construct("a whole file in JSON", '{"A": "x"}\n', FAILS, None, None),
)
