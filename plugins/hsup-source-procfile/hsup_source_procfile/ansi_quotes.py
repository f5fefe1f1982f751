r"""Read what stands in the ANSI-C quotes of a shell, `$'…'`, as bash and zsh write it.

bash escapes bytes in octal (man 1 bash, QUOTING), zsh as keys: `\C-A` is the byte 1, `\M-C` is
the one of `C` plus 128 (man 1 zshzle, "User-Defined Keymaps" and below).
"""

from __future__ import annotations

import re
import sys

_PART = re.compile(
    r"""\\(?:
        (?P<octal>[0-7]{1,3})
        | x(?P<hex>[0-9A-Fa-f]{1,2})
        | (?:u(?P<short>[0-9A-Fa-f]{1,4}) | U(?P<long>[0-9A-Fa-f]{1,8}))
        | (?P<keys>M-(?:\\C-)? | C- | c)(?P<key>\\?[\s\S])
        | (?P<letter>[\s\S])
    ) | [^\\]+""",
    re.VERBOSE,
)
_ESCAPED = {
    **{letter: letter for letter in "\\'\"?!"},  # zsh writes `\!`
    **dict(zip("abeEfnrtv", "\a\b\x1b\x1b\f\n\r\t\v", strict=True)),
}


def unescaped(text: str) -> str:
    """Return a text without its escapes; bytes that are not UTF-8 are lone surrogates (PEP 383)."""
    return b"".join(map(_bytes, _PART.finditer(text))).decode(errors="surrogateescape")


def _bytes(part: re.Match[str]) -> bytes:
    if part["octal"]:
        return bytes([int(part["octal"], 8) & 0xFF])
    if part["hex"]:
        return bytes([int(part["hex"], 16)])
    if part["keys"]:
        return bytes([_of_keys(part["keys"], part["key"])])
    digits = part["short"] or part["long"]
    if digits and int(digits, 16) <= sys.maxunicode:
        return chr(int(digits, 16)).encode(errors="surrogatepass")
    return _ESCAPED.get(part["letter"] or "", part[0]).encode()


def _of_keys(modifiers: str, key: str) -> int:
    """Return the byte of a key with Control, Meta or both."""
    char = _ESCAPED.get(key[1], key[1]) if key.startswith("\\") and len(key) > 1 else key
    byte = ord(char) & 0xFF
    if modifiers != "M-":
        byte = 0x7F if char == "?" else byte & 0x1F
    return byte | 0x80 if modifiers.startswith("M-") else byte
