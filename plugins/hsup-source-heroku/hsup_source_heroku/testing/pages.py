"""Serve a list of releases in pages, as the Range header asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hsup_source_heroku.testing.answers import HttpAnswer, error, in_json
from hsup_source_heroku.testing.apps import App, Release
from hsup_source_heroku.testing.bodies import release_body

_LENGTH, _LONGEST = 200, 1000
_RANGE = re.compile(r"version (?:(?P<exclusive>\]?)(?P<start>\d+))?\.\.(?P<options>;.*)?")


def page(app: App, wanted: str, *, with_image: bool) -> HttpAnswer:
    """Return the releases of a Range header."""
    match = _RANGE.fullmatch(wanted)
    if match is None:
        return error(416)
    options = dict(re.findall(r"(max|order)=(\w+)", match["options"] or ""))
    order = options.get("order", "asc")
    length = min(int(options.get("max", _LENGTH)), _LONGEST)
    matching = _from(app.releases, match, -1 if order == "desc" else 1)
    chosen = matching[:length]
    has_more = len(matching) > len(chosen) > 0
    headers = _headers(chosen, f"; max={length}, order={order}", has_more=has_more)
    content = [release_body(app, one, with_image=with_image) for one in chosen]
    return in_json(content, 206 if has_more else 200, headers)


def _from(releases: Sequence[Release], match: re.Match[str], step: int) -> Sequence[Release]:
    """Return the releases in the order of the header, from its start on."""
    if not match["start"]:
        return releases[::step]
    start = int(match["start"])
    first = start + step if match["exclusive"] else start
    return [one for one in releases[::step] if (one.version - first) * step >= 0]


def _headers(chosen: Sequence[Release], tail: str, *, has_more: bool) -> dict[str, str]:
    headers = {"Accept-Ranges": "version"}
    if chosen:
        ends = f"{chosen[0].version}..{chosen[-1].version}"
        headers["Content-Range"] = f"version {ends}{tail}"
    if has_more:
        headers["Next-Range"] = f"version ]{chosen[-1].version}..{tail}"
    return headers
