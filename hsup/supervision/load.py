"""Compute load averages as the kernel does; pure, with the time as an argument."""

from __future__ import annotations

import math

from hsup.api import LoadAverages

#: Those of /proc/loadavg (man 5 proc_loadavg).
_MINUTES = (1, 5, 15)


def load_after(before: LoadAverages, seconds: float, runnable: int) -> LoadAverages:
    """Return the averages after some seconds in which so many threads ran or could run.

    What was before counts less and less: e to the power of -t/T after t of T seconds, see the
    kernel's kernel/sched/loadavg.c.
    """
    kept = (math.exp(-seconds / (60 * minutes)) for minutes in _MINUTES)
    averages = zip(before, kept, strict=True)
    return LoadAverages(*(average * part + runnable * (1 - part) for average, part in averages))
