"""Name what was measured of a dyno."""

from __future__ import annotations

from collections.abc import Mapping

from hsup.api import LoadAverages, Measurement


def figures(value: LoadAverages | Measurement) -> Mapping[str, float]:
    """Return what is known, by the platform's names: bytes, pages, seconds, numbers of threads."""
    known = value._asdict()
    if isinstance(value, Measurement):
        known = {"memory_total": value.memory_total, **known}
    return {name: one for name, one in known.items() if one is not None}
