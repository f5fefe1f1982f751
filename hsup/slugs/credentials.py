"""Run a function with the rights of another user, in a thread that only has those.

The kernel keeps credentials per thread; the C library's wrappers change those of all threads.
So system calls with such a wrapper are made by their number (man 2 syscall, man 7 nptl).
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from hsup.archives.errors import SlugError
from hsup.threads import start_thread

_Result = TypeVar("_Result")

#: setgroups, by machine (the kernel's unistd.h and syscall tables).
_SETGROUPS = {"x86_64": 116, "aarch64": 159, "riscv64": 159, "ppc64le": 81, "s390x": 206}
#: Version 3 of man 2 capset has two words each of effective, permitted and inheritable ones.
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_WORDS = 6
_NO_ID = 0xFFFFFFFF


def in_thread_of(uid: int, groups: Sequence[int], work: Callable[[], _Result]) -> _Result:
    """Return what `work` returns when run as a user with these groups, the primary one first.

    hsup has to be root. Raises what `work` raises, SlugError if the rights cannot be changed,
    and TooManyProcesses.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            _become(uid, groups)
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            future.set_exception(error)

    start_thread(run)
    return future.result()


def _become(uid: int, groups: Sequence[int]) -> None:
    """Have the calling thread access files as a user, for as long as it runs."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = _SETGROUPS.get(platform.machine())
    if number is None:
        text = f"cannot open the slug with the rights of uid {uid} on {platform.machine()}"
        raise SlugError(text, hint="add a parent directory of the slug to HSUP_SLUG_FOLDERS")
    array = (ctypes.c_uint32 * len(groups))(*groups)
    done = [libc.syscall(ctypes.c_long(number), ctypes.c_size_t(len(groups)), array) == 0]
    for change, wanted in ((libc.setfsgid, groups[0]), (libc.setfsuid, uid)):
        change(ctypes.c_uint32(wanted))
        # They report no failure, only the previous id (man 2 setfsuid).
        done.append(change(ctypes.c_uint32(_NO_ID)) & _NO_ID == wanted)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    done.append(libc.capset(header, (ctypes.c_uint32 * _CAPABILITY_WORDS)()) == 0)
    if not all(done):
        raise SlugError(f"cannot switch to the rights of uid {uid}", hint="run hsup as root")
