"""Start dynos for `hsup start`, whether or not click has parsed its options."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from hsup.cli.defaults import LOOKS, SCREEN_FORMAT
from hsup.cli.options import Options
from hsup.cli.quantities import asked_by
from hsup.cli.supervising import Request, supervise
from hsup.descriptors import require_least
from hsup.errors import UsageError
from hsup.model import DynoName
from hsup.numerals import whole_number

#: Options whose errors come up when the release is known.
_NAMING_DYNOS = ("exit-code-from", "only", "stdin", "tty")

_STDERR = 2  # also if Python has no stream open there


def start_types(words: Sequence[str]) -> NoReturn:
    """Start dynos of process types, such as `web=2`, without any options; none mean all types."""
    start(requested(Options({}), words))


def requested(options: Options, words: Sequence[str] = ()) -> Request:
    """Return what options of `hsup start` ask for, and process types such as `web=2`, if any.

    Raises UsageError.
    """
    options, asked = asked_by(_for_the_screen(options), words)
    return Request(
        options=options,
        asked=asked,
        stays=options.stays,
        aborts_on_exit=options.aborts_on_exit,
        status_from=options.exit_code_from,
        has_terminals=options.has_terminals,
        only=options.only,
        called={f"--{name}": options.called(name.replace("-", "_")) for name in _NAMING_DYNOS},
        look=_look(options),
        reader=_reader(options),
        may_follow=asked.quantities is None and options.quantities is None,
    )


def _for_the_screen(options: Options) -> Options:
    """Return the options with the format whose look was typed, unless another one was chosen."""
    if options.chosen_log_format is None and any(map(options.is_typed, LOOKS.values())):
        return options.refined({"log_format": SCREEN_FORMAT})
    return options


def _look(options: Options) -> dict[str, bool]:
    """Return how lines are printed, which only the format for the screen leaves open.

    Raises UsageError if another format was asked for, too.
    """
    form = options.log_format
    if form == SCREEN_FORMAT:
        return options.look
    for name, value in options.look.items():
        option = LOOKS[name]
        if options.is_typed(option):
            called = options.called("log_format")
            text = f"--{'' if value else 'no-'}{option} applies only to the format for the screen"
            raise UsageError(f'{text}, and {called} is "{form}"', hint="leave one of them out")
    return {}


def _reader(options: Options) -> DynoName | None:
    """Return the dyno that a user means: `web.2`, or the first of `web`. Raises UsageError."""
    text = options.reader
    if text is None:
        return None
    name, dot, digits = text.rpartition(".")
    if not dot:
        return DynoName(text, options.start_number or 1)
    number = whole_number(digits)
    if not name or not number:
        option = options.called("stdin")
        raise UsageError(f'{option} must be the name of a dyno, as in web or web.2, got "{text}"')
    return DynoName(name, number)


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
