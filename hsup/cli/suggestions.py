"""Guess which of the words that there are a user has mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: So many letters are enough for the beginning of a word.
_BEGINNING = 3


def meant(word: str, words: Iterable[str]) -> str | None:
    """Return the word that is most like the typed one, None if none is like it.

    Letters that changed places are the likeliest mistake, then the same beginning.
    """
    known = sorted(words)
    close = get_close_matches(word, known, n=5)
    close += [one for one in known if len(word) >= _BEGINNING and one.startswith(word)]
    letters = sorted(word)
    close.sort(key=lambda one: (sorted(one) != letters, one[:1] != word[:1]))
    return close[0] if close else None


def hint(word: str, words: Iterable[str]) -> str:
    """Return what to do about a mistyped word: which one may be meant, or which ones there are."""
    known = sorted(words)
    guess = meant(word, known)
    return f'did you mean "{guess}"?' if guess else f"choose from {', '.join(known)}"
