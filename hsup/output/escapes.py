"""Keep what a dyno writes to its own lines of the screen, which it shares with other dynos."""

from __future__ import annotations

import re

#: Control characters that move the cursor off its line (VT, FF), change the characters (SO, SI),
#: or have the terminal answer (ENQ).
_CONTROLS = b"\x05\x0b\x0c\x0e\x0f"
#: U+0080 to U+009F in UTF-8, which some terminals take for the beginning of a sequence, and what
#: could become one.
_LATER_CONTROLS = re.compile(rb"\xc2(?:[\x80-\x9f]|(?![\xa0-\xbf]))")

#: Any sequence but colours, erasing to the end of the line, links, the URI of which is ASCII, and
#: what ends a link, which does nothing elsewhere; whole or not. See ECMA-48 (5.3 to 5.6, 8.3.89)
#: and man 4 console_codes.
_SEQUENCE = re.compile(
    rb"\x1b(?!\[(?:[0-9;:]*m|0?K)|\]8;[ -~]*(?:\x07|\x1b\\)|\\)(?:"
    rb"\[[0-?]*[ -/]*[@-~]?"  # a control sequence
    rb"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # a control string: OSC, DCS, SOS, PM or APC
    rb"|[ -/]*[0-~]?"  # anything else; of a string without an end, what begins it
    rb")"
)
_TO_THE_START = re.compile(rb"\x1b\[[01]?G")
_ERASE_LINE = b"\x1b[2K"

#: The beginning of a sequence whose end has not come yet.
_BEGUN = re.compile(rb"(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\n]*\x1b?|[ -/]*)|\xc2)\Z")
#: A longer sequence is not waited for.
_LONGEST_BYTES = 4096


def kept_to_lines(written: bytes) -> bytes:
    """Return what a dyno has written without what is for the whole screen or the terminal.

    Of all sequences, only colours, links, and what erases to the end of a line are left. What
    moves to the start of a line becomes a carriage return, behind which a prefix has a place.
    """
    if any(control in written for control in _CONTROLS):
        written = written.translate(None, _CONTROLS)
    if b"\xc2" in written:
        written = _LATER_CONTROLS.sub(b"", written)
    if b"\x1b" not in written:
        return written
    moved = _TO_THE_START.sub(b"\r", written.replace(_ERASE_LINE, b"\r\x1b[K"))
    return _SEQUENCE.sub(b"", moved)


def whole_sequences(written: bytes) -> int:
    """Return how many bytes are left of a piece without a sequence that goes on in the next one."""
    begun = _BEGUN.search(written, max(len(written) - _LONGEST_BYTES, 0))
    return begun.start() if begun else len(written)
