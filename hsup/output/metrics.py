"""Write what was measured of a dyno, as the platform does: see its feature log-runtime-metrics."""

from __future__ import annotations

from collections.abc import Mapping

from hsup.api import LoadAverages, LogEvent, Measurement
from hsup.output.lines import METRICS, PLATFORM, Line

_MEGABYTE = 1 << 20
_UNITS = {
    "memory_total": "MB",
    "memory_rss": "MB",
    "memory_cache": "MB",
    "memory_swap": "MB",
    "memory_pgpgin": "pages",
    "memory_pgpgout": "pages",
    "memory_quota": "MB",
}


def load_line(dyno: str, identity: str, load: LoadAverages) -> Line:
    """Return the line for the load of a dyno; `identity` is that of `heroku.APP.UUID`."""
    samples = " ".join(f"sample#{name}={value:.2f}" for name, value in load._asdict().items())
    return Line(f"{_origin(dyno, identity)} {samples}", _event(load), PLATFORM)


def memory_line(dyno: str, identity: str, measured: Measurement) -> Line | None:
    """Return the line for the memory of a dyno, without what is not known; None if nothing is."""
    if measured.memory_total is None:
        return None
    known = figures(measured)
    samples = " ".join(
        f"sample#{name}={_amount(known[name], unit)}{unit}"
        for name, unit in _UNITS.items()
        if name in known
    )
    return Line(f"{_origin(dyno, identity)} {samples}", _event(measured), PLATFORM)


def figures(value: LoadAverages | Measurement) -> Mapping[str, float]:
    """Return what is known, by the platform's names: bytes, pages, seconds, numbers of threads."""
    known = value._asdict()
    if isinstance(value, Measurement):
        known = {"memory_total": value.memory_total, **known}
    return {name: one for name, one in known.items() if one is not None}


def _event(value: LoadAverages | Measurement) -> LogEvent:
    return LogEvent(METRICS, facts={METRICS: figures(value)})


def _origin(dyno: str, identity: str) -> str:
    return f"source={dyno} dyno={identity}"


def _amount(value: float, unit: str) -> str:
    return f"{value / _MEGABYTE:.2f}" if unit == "MB" else f"{value:d}"
