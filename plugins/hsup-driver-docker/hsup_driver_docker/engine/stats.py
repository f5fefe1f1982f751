"""Turn the figures of an engine into a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hsup.api import Measurement

#: The states of threads that the kernel counts for the load (kernel/sched/loadavg.c).
_COUNTED_STATES = frozenset("RD")


def measurement(
    stats: Mapping[str, Any], thread_states: Sequence[str] | None
) -> Measurement | None:
    """Return what a container uses, None if the figures are those of one that does not run.

    The names of some figures are those of the machine's version of cgroups, and Podman has none of
    them. No engine tells how much is swapped out with version 2.
    """
    memory: Mapping[str, Any] = stats.get("memory_stats") or {}
    figures: Mapping[str, Any] = memory.get("stats") or {}
    if not memory:
        return None
    nanoseconds = ((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage")
    return Measurement(
        memory_rss=figures.get("rss", figures.get("anon")),
        memory_cache=figures.get("cache", figures.get("file")),
        memory_swap=figures.get("swap"),
        memory_pgpgin=figures.get("pgpgin"),
        memory_pgpgout=figures.get("pgpgout"),
        memory_quota=memory.get("limit") or None,
        cpu_seconds=None if nanoseconds is None else nanoseconds / 1e9,
        runnable=None if thread_states is None else _counted(thread_states),
    )


def _counted(states: Sequence[str]) -> int:
    return sum(state[:1] in _COUNTED_STATES for state in states)
