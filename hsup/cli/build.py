"""`hsup build`: prepare what all dynos of the current release share."""

from __future__ import annotations

from typing import Any

import click

from hsup.cli.components import Components, closing
from hsup.cli.options import Options
from hsup.cli.shared import SharingCommand
from hsup.visible import warn


@click.command(
    "build",
    cls=SharingCommand,
    epilog="""\b
Examples:
  hsup build
  hsup build -d docker -a myapp""",
)
@click.pass_obj
def command(outer: Options, /, **given: Any) -> None:
    """Prepare the current release for its driver.

    Nothing is run. A later start finds everything prepared: the slug unpacked, the image built.
    """
    options = outer.refined(given)
    parts = Components(options)
    release = parts.current_release()
    driver = parts.driver()
    with closing(driver):
        parts.build(driver, release)
    warn(f'built {release} for driver "{options.driver}"')
