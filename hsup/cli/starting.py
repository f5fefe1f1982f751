"""Start dynos for `hsup start`, whether or not click has parsed its options."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hsup.cli.options import Options
from hsup.cli.quantities import scale_request
from hsup.cli.supervising import Request, supervise
from hsup.descriptors import require_least

_STDERR = 2  # also if Python has no stream open there


def start_types(words: Sequence[str]) -> NoReturn:
    """Start dynos of process types, such as `web=2`, without any options; none mean all types."""
    options = Options({})
    asked = scale_request(options, words)
    start(Request(options=options, asked=asked, may_follow=asked.quantities is None))


def start(request: Request) -> NoReturn:
    """Start dynos, keep them running until hsup is stopped, and exit with its status."""
    require_least()
    _keep_descriptors_from_dynos()
    gc.freeze()  # what is imported by now is never freed
    gc.enable()
    sys.exit(_supervised(request))


def _supervised(request: Request) -> int:
    if request.reader is None:
        return asyncio.run(supervise(request))
    from hsup.cli.lent_input import input_lent  # rarely needed

    with input_lent() as lent:
        return asyncio.run(supervise(request._replace(lent=lent)))


def _keep_descriptors_from_dynos() -> None:
    """Keep dynos from inheriting descriptors that hsup's caller left open."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > _STDERR:
            try:
                os.set_inheritable(int(name), False)  # noqa: FBT003 - os takes it by position only
            except OSError:  # the descriptor that listed the directory
                pass
