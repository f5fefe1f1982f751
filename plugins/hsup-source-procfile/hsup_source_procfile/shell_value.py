r"""Read one value of a .env file: its quotes, its backslashes, and its references.

What a shell's own quoting writes is read as a shell reads it (POSIX.1-2017, Shell Command
Language, 2.2 Quoting): words of quoted parts and of characters after a backslash, side by
side; and so are the quotes of bash and zsh, `$'…'` (`ansi_quotes`). In double quotes, `\n`, `\r`
and `\t` are control characters besides, as foreman, honcho, dotenv and Heroku's CLI have it, and
`\!` is what that CLI writes for `!`; a shell writes a backslash as two there, so that nothing of
its own is lost. Any other value is the text as it stands, to the end of the line or to a comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

#: A part of a shell's word. Outside of quotes a shell escapes no letter and no digit: C:\Users is
#: no word. No text takes longer than it is long: what is repeated is possessive, or begins with a
#: backslash. (Python 3.11.2, Debian 12's, matches possessive groups wrongly.)
_PART = re.compile(
    r"""'[^']*+'|"[^"\\]*+(?:\\[\s\S][^"\\]*+)*"|\$'[^'\\]*+(?:\\[\s\S][^'\\]*+)*'"""
    r"""|\\[^\r\nA-Za-z0-9]|[^\s'"\\$]++|\$(?!')""",
    re.ASCII,
)
_LINE = re.compile(r"[^\n]*+")
_BLANKS = " \t\r\f\v"
_BETWEEN_WORDS = re.compile(r"[ \t]*+")
_COMMENT = re.compile(r"[ \t]#")
_AFTER_WORD = re.compile(r"[ \t]*+(?:(?<=[ \t])#[^\n]*+)?(?=\r?\n|\r?\Z)")

_IN_DOUBLE_QUOTES = re.compile(r"\\([\s\S])|[^\\]+")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "\n": "", **{char: char for char in '"\\$`!'}}

_REFERENCE = re.compile(
    r"(?<!\\)\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?-([^{}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))"
)

#: How a command begins that a shell runs.
_COMMAND = re.compile(r"(?<!\\)(?:\$\(|`)")

_CLOSING = {"{": "}", "[": "]"}


class Piece(NamedTuple):
    """A part of a value; `refers` tells whether a reference in it counts in a shell."""

    text: str
    refers: bool


class Value(NamedTuple):
    """A value, and where it ends in its file.

    `is_quoted` tells whether a shell's quoting was found.
    """

    pieces: tuple[Piece, ...]
    end: int
    is_quoted: bool

    @property
    def text(self) -> str:
        """Return the value with its references as they stand."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def unclosed(self) -> str:
        """Return the bracket that a value like JSON begins with, and lacks at its end."""
        text = self.text
        opening = text[:1]
        if self.is_quoted or opening not in _CLOSING or text.endswith(_CLOSING[opening]):
            return ""
        return opening

    def references(self) -> Iterator[tuple[str, bool]]:
        """Yield the name of each reference, and whether it is in braces."""
        for piece in self.pieces:
            for match in _REFERENCE.finditer(piece.text if piece.refers else ""):
                yield match[1] or match[3], match[1] is not None

    def has_command(self) -> bool:
        """Tell whether a shell would run a command in it: `$(date)`, or one in backticks."""
        text = "".join(piece.text if piece.refers else " " for piece in self.pieces)
        begin = _COMMAND.search(text)
        if begin is None:
            return False
        return ("`" if begin[0] == "`" else ")") in text[begin.end() :]

    def expanded(self, variables: Mapping[str, str]) -> str:
        """Return the value with each reference replaced, by nothing if it has no value."""

        def replaced(match: re.Match[str]) -> str:
            name, default = match[1] or match[3], match[2] or ""
            return variables.get(name) or default

        return "".join(
            _REFERENCE.sub(replaced, piece.text) if piece.refers else piece.text
            for piece in self.pieces
        )


class OpenQuote(Exception):
    """A value has a quote that is not closed, or text after its quotes; `end` is where it is."""

    def __init__(self, end: int) -> None:
        super().__init__(end)
        self.end = end


def read_value(text: str, start: int) -> Value:
    """Return the value that begins at `start`, after `=` and blanks. Raises OpenQuote."""
    line = _LINE.match(text, start)
    assert line  # it matches anything
    is_quoted = text.startswith(("'", '"', "$'", "\\'", '\\"'), start)
    if is_quoted or _is_escaped(line[0]):
        parts = [*_parts(text, start)]
        end = parts[-1].end() if parts else start
        after = _AFTER_WORD.match(text, end)
        if parts and after:
            return Value(tuple(_pieces(parts)), after.end(), is_quoted=True)
        if is_quoted:
            raise OpenQuote(end)
    comment = _COMMENT.search(line[0])
    plain = line[0][: comment.start()] if comment else line[0]
    return Value((Piece(plain.rstrip(_BLANKS), refers=True),), line.end(), is_quoted=False)


def read_list(text: str, start: int) -> Value:
    """Return the value of a list of zsh that begins after its parenthesis: `/bin '/a b' )`.

    Between its words is a colon, or what follows the list. Raises OpenQuote.
    """
    words: list[str] = []
    is_closed, separator = False, ":"
    while parts := [*_parts(text, start)]:
        word = "".join(piece.text for piece in _pieces(parts))
        if is_closed:
            separator = word
        elif text.startswith(")", start):
            is_closed = True
        else:
            words.append(word)
        between = _BETWEEN_WORDS.match(text, parts[-1].end())
        assert between  # it matches nothing, too
        start = between.end()
    after = _AFTER_WORD.match(text, start)
    if not (is_closed and after):
        raise OpenQuote(start)
    return Value((Piece(separator.join(words), refers=False),), after.end(), is_quoted=True)


def _is_escaped(line: str) -> bool:
    """Tell whether a value without quotes around it may be one that a shell has escaped."""
    return "\\" in line and not re.search(r"""(?<!\\)['"]""", line)


def _parts(text: str, start: int) -> Iterator[re.Match[str]]:
    """Yield the parts of the word that begins at `start`."""
    while match := _PART.match(text, start):
        yield match
        start = match.end()


def _pieces(parts: Iterable[re.Match[str]]) -> Iterator[Piece]:
    for match in parts:
        part = match[0]
        if part.startswith("'"):
            yield Piece(part[1:-1], refers=False)
        elif part.startswith("$'"):
            from hsup_source_procfile.ansi_quotes import unescaped  # rarely needed

            yield Piece(unescaped(part[2:-1]), refers=False)
        elif part.startswith('"'):
            yield from _double_quoted(_IN_DOUBLE_QUOTES.finditer(part[1:-1]))
        elif part.startswith("\\"):
            yield Piece(part[1:], refers=False)
        else:
            yield Piece(part, refers=True)


def _double_quoted(matches: Iterable[re.Match[str]]) -> Iterator[Piece]:
    for match in matches:
        escaped = match[1]
        if escaped is None:
            yield Piece(match[0], refers=True)
        else:
            yield Piece(_ESCAPED.get(escaped, match[0]), refers=False)
