"""Say in three lines what runs here: the application, where it is from, where it serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from hsup.columns import columns, cut, cut_before
from hsup.model import Release
from hsup.visible import visible

#: A path of which less can be shown is left out.
_LEAST_PATH = 8
_STOP = "^C stops all"


def banner(
    source: str,
    driver: str,
    release: Release,
    ports: Mapping[str, int | None],
    *,
    unavailable: Collection[int],
    width: int,
) -> tuple[str, str, str]:
    """Return the lines, none of which takes more columns than `width`.

    `ports` has the names of the dynos that are to run, and the port of each; on those that are
    `unavailable` no dyno can listen now.
    """
    return (
        application(release, tuple(ports), width),
        _fitting(_origin(source, driver, release, width), width),
        _fitting(_serving(ports, unavailable), width),
    )


def application(release: Release, names: Sequence[str], width: int) -> str:
    """Return the first line, of the dynos of a release."""
    return _fitting(_application(release, names, width), width)


def _fitting(variants: Iterator[str], width: int) -> str:
    """Return the first variant that has room, or what has room of the last one."""
    text = ""
    for variant in variants:
        text = visible(variant)
        if columns(text) <= width:
            return text
    return cut(text, width)


def _application(release: Release, names: Sequence[str], width: int) -> Iterator[str]:
    """Yield what runs: all names, the types with their quantities, only some of these."""
    title = f"{release.app}, release v{release.version}"
    if not names:
        yield f"{title}: no dynos"
        return
    yield f"{title}: {', '.join(names)}"
    types = Counter(name.rpartition(".")[0] for name in names)
    shown = [name if count == 1 else f"{name}={count}" for name, count in types.items()]
    yield f"{title}: {', '.join(shown)}"
    for count in range(len(shown) - 1, 0, -1):
        yield f"{title}: {', '.join(shown[:count])} and {len(shown) - count} more"
    dynos = f"{len(names)} dyno{'s' if len(names) > 1 else ''}"
    yield f"{title}: {dynos}"
    yield f"{cut(visible(release.app), width - len(dynos) - 2)}, {dynos}"


def _origin(source: str, driver: str, release: Release, width: int) -> Iterator[str]:
    slug = release.slug
    if slug is not None and slug.inode is not None:
        path = visible(slug.location)
        yield f"source {source} in {path}, driver {driver}"
        room = width - columns(f"source {source} in , driver {driver}")
        if room >= _LEAST_PATH:
            yield f"source {source} in {cut_before(path, room)}, driver {driver}"
    yield f"source {source}, driver {driver}"
    yield f"{source}, {driver}"


def _serving(ports: Mapping[str, int | None], unavailable: Collection[int]) -> Iterator[str]:
    """Yield where the web dynos serve, and where they cannot."""
    web = [port for name, port in ports.items() if name.startswith("web.") and port is not None]
    free = [port for port in web if port not in unavailable]
    others = [port for port in web if port in unavailable]
    if not web:
        yield _STOP
        return
    text = f"web serves on {_listed(free)}" if free else f"web cannot serve on {_listed(others)}"
    if free and others:
        text += f", not on {_listed(others)}"
    yield f"{text}; {_STOP}"
    yield text
    yield _listed(free) if free else f"no {_listed(others)}"


def _listed(ports: Sequence[int]) -> str:
    """Return ports, of which adjacent ones are a range."""
    ranges: list[list[int]] = []
    for port in sorted(ports):
        if ranges and port == ranges[-1][-1] + 1:
            ranges[-1].append(port)
        else:
            ranges.append([port])
    shown = [f"{one[0]} to {one[-1]}" if len(one) > 1 else str(one[0]) for one in ranges]
    *first, last = shown
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"port {listed}" if len(ports) == 1 else f"ports {listed}"
