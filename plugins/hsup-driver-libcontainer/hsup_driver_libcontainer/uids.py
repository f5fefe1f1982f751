"""Lease a uid of its own to each dyno."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Iterator, Mapping, Sequence

from hsup.api import Finding
from hsup.errors import UsageError
from hsup.numerals import whole_number
from hsup_driver_libcontainer.leases import Leases

#: The variables of the Go program, and its defaults.
UID_MIN = "LIBCONTAINER_DYNO_UID_MIN"
UID_MAX = "LIBCONTAINER_DYNO_UID_MAX"
DEFAULT_MIN, DEFAULT_MAX = 3000, 11000
#: The lease file of all hsups: users are the host's, whatever network an hsup has.
UIDS = "/run/hsup/uids"
#: The highest one of the kernel, see man 7 credentials; -1 means none.
_HIGHEST_UID = 2**32 - 2
#: How many accounts a finding names.
_MOST_TOLD = 3


def uid_range(environ: Mapping[str, str]) -> range:
    """Return the uids that dynos may have. Raises UsageError."""
    first = _uid(environ, UID_MIN, DEFAULT_MIN)
    last = _uid(environ, UID_MAX, DEFAULT_MAX)
    if last < first:
        text = f"{UID_MAX} must not be less than {UID_MIN}, got {last} and {first}"
        raise UsageError(
            text, hint=f"unset both to use the defaults, {DEFAULT_MIN} and {DEFAULT_MAX}"
        )
    return range(first, last + 1)


def take(leases: Leases, directory: str = "/etc") -> int:
    """Lease a uid that neither a dyno nor an account of this machine has.

    A dyno's group has the same number. Raises DriverError if none is free.
    """
    busy = list(_delegated(directory))
    while True:
        uid = leases.take(busy)
        if not _has_account(uid):
            return uid
        leases.give_back(uid)
        busy.append(range(uid, uid + 1))


def examine(numbers: range, directory: str = "/etc") -> Finding:
    """Return whether accounts of this machine have uids that dynos could get."""
    subject = "uids of dynos"
    text = f"{numbers.start} to {numbers.stop - 1}"
    owners = [
        f"{user.pw_name} ({user.pw_uid})" for user in pwd.getpwall() if user.pw_uid in numbers
    ]
    owners += [
        f"group {group.gr_name} ({group.gr_gid})"
        for group in grp.getgrall()
        if group.gr_gid in numbers
    ]
    owners += [
        f"subordinate ids from {ids.start}"
        for ids in _delegated(directory)
        if ids.start < numbers.stop and numbers.start < ids.stop
    ]
    if not owners:
        return Finding(subject, is_good=True, text=text)
    more = f" and {len(owners) - _MOST_TOLD} more" if len(owners) > _MOST_TOLD else ""
    named = ", ".join(owners[:_MOST_TOLD])
    text += f", except those of {named}{more}; set {UID_MIN} and {UID_MAX} to unused ones"
    return Finding(subject, is_good=False, text=text)


def _has_account(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(number)
        except KeyError:
            continue
        return True
    return False


def _delegated(directory: str) -> Iterator[range]:
    """Yield the ids that accounts may use in their containers, see man 5 subuid."""
    for name in ("subuid", "subgid"):
        for line in _lines(f"{directory}/{name}"):
            first, _, count = line.partition(":")[2].strip().partition(":")
            start, length = whole_number(first), whole_number(count)
            if start is not None and length is not None:
                yield range(start, start + length)


def _lines(path: str) -> Sequence[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.readlines()
    except FileNotFoundError:
        return ()


def _uid(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    number = whole_number(text)
    if number is None or not 1 <= number <= _HIGHEST_UID:
        hint = f"unset it to use the default, {default}"
        raise UsageError(f'{name} must be a uid, 1 or more, got "{text}"', hint=hint)
    return number
