"""`hsup doctor`: check what drivers need of this machine, and explain what they do; log drains."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from hsup.api import Examines, Finding
from hsup.cli.components import Components
from hsup.cli.explain import explain, numbered
from hsup.cli.options import Options
from hsup.cli.shared import SharingCommand
from hsup.errors import HsupError
from hsup.visible import tell, tell_json

_OK, _MISSING, _NOT_NEEDED = "ok", "missing", "absent"
#: What the findings about log drains are listed under: a blank is in no driver's name.
_DRAINS = "log drains"


@click.command(
    "doctor",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup doctor                   every driver that is installed
  hsup doctor -d libcontainer
  hsup doctor -d libcontainer --explain --bind /srv/data:/data:ro
  hsup doctor --json""",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--explain", "explains", is_flag=True, help="Explain how a dyno is started, step by step."
)
@click.pass_obj
def command(outer: Options, /, *, as_json: bool, explains: bool, **given: Any) -> None:
    """Check whether this machine has what drivers need.

    Each finding is marked ok, missing (dynos need it) or absent (dynos run without it), and says
    what to do. So is each log drain that --drain names, without a connection to it.
    Exits with status 1 if something is missing. Starts no dyno, not even with --explain.
    """
    parts = Components(outer.refined(given))
    chosen = parts.options.chosen_driver
    names = [chosen] if chosen else sorted(parts.plugins.drivers)
    for name in names:
        parts.require_driver(name)
    tell_all = _tell_steps if explains else _tell_findings
    if not tell_all(parts, names, as_json=as_json):
        sys.exit(1)


def _tell_findings(parts: Components, names: Sequence[str], *, as_json: bool) -> bool:
    """Print what drivers found, and the log drains; return whether nothing is missing."""
    findings = {name: _examine(parts, name) for name in names}
    if parts.has_drains():
        from hsup.cli import drain_check  # only where there are drains

        findings[_DRAINS] = drain_check.findings(parts)
    if as_json:
        tell_json({name: _listing(listed) for name, listed in findings.items()})
    else:
        for line in _lines(findings):
            tell(line)
    return all(
        _mark(finding) != _MISSING for listed in findings.values() for finding in listed or ()
    )


def _tell_steps(parts: Components, names: Sequence[str], *, as_json: bool) -> bool:
    """Print how drivers start a dyno; return whether none of them failed."""
    steps = explain(parts, names)
    if as_json:
        tell_json({name: texts and [*texts] for name, texts in steps.items()})
    else:
        for line in numbered(steps):
            tell(line)
    return len(steps) == len(names)


def _examine(parts: Components, name: str) -> Sequence[Finding] | None:
    """Return what a driver found, None if it does not examine the machine."""
    try:
        driver = parts.named_driver(name)
        return driver.examine() if isinstance(driver, Examines) else None
    except HsupError as error:
        is_own = error.__cause__ is None or isinstance(error.__cause__, HsupError)
        subject = "settings" if is_own else "package"
        distribution = parts.plugins.drivers.part(name).distribution
        remedy = error.hint or f"see the documentation of {distribution}"
        return (Finding(subject, is_good=False, text=error.args[0], remedy=remedy),)


def _mark(finding: Finding) -> str:
    if finding.is_good:
        return _OK
    return _MISSING if finding.remedy else _NOT_NEEDED


def _lines(findings: dict[str, Sequence[Finding] | None]) -> Iterator[str]:
    for name, listed in findings.items():
        if listed is None:
            yield f"{name}: has nothing to check"
            continue
        yield f"{name}:"
        width = max((len(finding.subject) for finding in listed), default=0)
        for finding in listed:
            yield f"  {_mark(finding):7}  {finding.subject:{width}}  {finding.text}"
            if _mark(finding) == _MISSING:
                yield f"  {'':7}  {'':{width}}  {finding.remedy}"


def _listing(findings: Sequence[Finding] | None) -> list[dict[str, str | None]] | None:
    if findings is None:
        return None
    return [
        {
            "subject": finding.subject,
            "mark": _mark(finding),
            "text": finding.text,
            "remedy": finding.remedy,
        }
        for finding in findings
    ]
