"""Find out when a file was created (man 2 statx)."""

from __future__ import annotations

import os
import struct

_AT_EMPTY_PATH = 0x1000
_STATX_BTIME = 0x800
_STATX_SIZE = 256
#: stx_mask is the first member, and stx_btime is after three words, two shorts and six long words.
_MASK = struct.Struct("=I")
_BIRTH = struct.Struct("=qI")
_BIRTH_OFFSET = 80


def birth_time(descriptor: int) -> float:
    """Return when an open file was created, or last written where the file system cannot tell.

    In seconds since the epoch. Raises OSError.
    """
    import ctypes  # slow to import, rarely needed

    changed = os.fstat(descriptor).st_mtime
    buffer = ctypes.create_string_buffer(_STATX_SIZE)
    statx = getattr(ctypes.CDLL(None), "statx", None)  # glibc 2.28, musl 1.2.4
    if statx is None or statx(descriptor, b"", _AT_EMPTY_PATH, _STATX_BTIME, buffer):
        return changed
    if not _MASK.unpack_from(buffer)[0] & _STATX_BTIME:
        return changed
    seconds, nanoseconds = _BIRTH.unpack_from(buffer, _BIRTH_OFFSET)
    return float(seconds + nanoseconds / 1e9) if seconds > 0 else changed
