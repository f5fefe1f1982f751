"""Keep what a dyno writes to its own lines of the screen, which it shares with other dynos."""

from __future__ import annotations

import re

#: What leaves the line, clears or resets the screen, hides the cursor, or changes the title. See
#: ECMA-48 and man 4 console_codes; colours, links, and what edits a line are something else.
_ELSEWHERE = re.compile(
    rb"\x1b(?:"
    rb"[c78DEHM]"
    rb"|\[[0-9;?]*[ABEFHJLMSTdfhlrsu]"
    rb"|\](?!8;)[^\x07\x1b\n]*(?:\x07|\x1b\\)"
    rb")"
)
_TO_THE_START = re.compile(rb"\x1b\[[01]?G")
_ERASE_LINE = b"\x1b[2K"


def kept_to_lines(written: bytes) -> bytes:
    """Return what a dyno has written without what is for the whole screen.

    What moves to the start of a line becomes a carriage return, behind which a prefix has a place.
    """
    moved = _TO_THE_START.sub(b"\r", written.replace(_ERASE_LINE, b"\r\x1b[K"))
    return _ELSEWHERE.sub(b"", moved)
