"""Cut texts between characters of UTF-8."""

from __future__ import annotations

#: All bytes of a character except the first (RFC 3629), of which there are three at most.
_LATER_BYTES = range(0x80, 0xC0)
_CHARACTER_BYTES = 4


def cut_before(text: bytes, limit: int) -> int:
    """Return where to cut a text that is longer than `limit` bytes.

    This is the last place up to there that is between characters; `limit` itself if the text is
    not UTF-8 there.
    """
    ends = range(limit, limit - _CHARACTER_BYTES, -1)
    return next((end for end in ends if text[end] not in _LATER_BYTES), limit)
