"""Guess which of the words that there are a user has mistyped."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def meant(word: str, words: Iterable[str]) -> str | None:
    """Return the word that is most like the typed one, None if none is like it.

    Letters that changed places are the likeliest mistake, then the same beginning.
    """
    close = get_close_matches(word, sorted(words), n=5)
    letters = sorted(word)
    close.sort(key=lambda one: (sorted(one) != letters, one[:1] != word[:1]))
    return close[0] if close else None


def hint(word: str, words: Iterable[str]) -> str:
    """Return what to do about a mistyped word: which one may be meant, or which ones there are."""
    known = sorted(words)
    guess = meant(word, known)
    return f'did you mean "{guess}"?' if guess else f"choose from {', '.join(known)}"
