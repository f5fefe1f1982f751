"""Find a password in ~/.netrc as it is in practice; pure.

Python's own parser rejects the whole file for an unknown word, such as `method` from an older
`heroku login` or `protocol` from other programs, or for a key without a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_KEYS = frozenset({"machine", "default", "login", "user", "account", "password", "macdef"})
#: A word in quotes, with escapes, or up to a blank.
_WORD = re.compile(r'"((?:\\.|[^"\\])*)"|(\S+)')


def password_of(host: str, text: str) -> str | None:
    """Return the password for a host, None without one.

    The entry `default`, for all other hosts, is ignored. Of two entries, the last one counts.
    """
    is_its, password = False, None
    words = _words(text)
    for index, word in enumerate(words):
        if not word.is_key:
            continue
        value = _value(words, index)
        if word.text == "machine":
            is_its = value == host
        elif word.text == "default":
            is_its = False
        elif word.text == "password" and is_its:
            password = value
    return password


@dataclass(frozen=True, slots=True, kw_only=True)
class _Word:
    """A word with its line; `is_key` is False for the value of a key."""

    text: str
    line: int
    is_key: bool


def _value(words: list[_Word], index: int) -> str | None:
    """Return the value of a key, None without one."""
    following = words[index + 1 : index + 2]
    return following[0].text if following and not following[0].is_key else None


def _words(text: str) -> list[_Word]:
    words: list[_Word] = []
    for line, (word, is_quoted) in _split(text):
        previous = words[-1] if words else None
        is_value = previous is not None and previous.is_key and previous.text != "default"
        # On the line of its key, a value may be any word; on the next line, not a keyword.
        if is_value and previous is not None and (line == previous.line or word not in _KEYS):
            words.append(_Word(text=word, line=line, is_key=False))
        else:
            words.append(_Word(text=word, line=line, is_key=not is_quoted))
    return words


def _split(text: str) -> Iterator[tuple[int, tuple[str, bool]]]:
    """Yield words with their lines, and whether they are quoted, without comments and macros."""
    is_macro = False
    for number, line in enumerate(text.splitlines()):
        is_macro = is_macro and bool(line.strip())
        if is_macro or line.lstrip().startswith("#"):
            continue
        is_macro = line.lstrip().startswith("macdef")
        if is_macro:
            continue
        for quoted, plain in _WORD.findall(line):
            word = plain or re.sub(r"\\(.)", r"\1", quoted)
            yield number, (word, not plain)
