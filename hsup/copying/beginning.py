"""Divide hsup into the two processes, one of which runs the program."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from typing import NoReturn

from hsup.copying import channel
from hsup.copying.channel import PID, READY, Channel
from hsup.copying.ends import Ends, close_others, ends
from hsup.copying.leader import end_like, lead
from hsup.copying.relay import Deliverer, Relay
from hsup.copying.runner import Runner
from hsup.errors import HsupError
from hsup.visible import warn, warn_of


def begin(deliverer: Deliverer) -> Runner:
    """Return in the process that is to run the program, once the relay is ready.

    No other thread may run. If delivery cannot begin, the relay says why, and hsup ends.
    """
    between = ends()
    of_relay, of_runner = channel.pair()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    is_above = between.keyboard is not None
    child = os.fork()
    if is_above == bool(child):
        leader = child if is_above else None
        _relay(Relay(between, of_relay, deliverer, leader), between, of_relay)
    of_relay.close()
    if is_above:
        lead(between.given[0])
    between.keep()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    of_runner.tell(PID, str(os.getpid()))
    if not of_runner.waits_for(READY):
        os._exit(1 if is_above else _status_of(child))
    return Runner(between, of_runner, None if is_above else child)


def _status_of(child: int) -> int:
    """Wait for the end of a child; return its status as in a shell: 128 + N for a signal N."""
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code


def _relay(relay: Relay, between: Ends, of_relay: Channel) -> NoReturn:
    """Run the relay to its end, and end as the program did, or with the status of an error."""
    gc.freeze()  # as `hsup start` does: this may run for long
    gc.enable()
    between.leave()
    close_others({of_relay.fileno(), *(one.reading for one in between.copied)})
    try:
        status = asyncio.run(relay.run())
    except HsupError as error:
        warn(str(error))
        os._exit(error.exit_code)
    except BaseException as error:  # noqa: BLE001 - no caller is there to see it
        warn_of(error)
        os._exit(1)
    end_like(status or 0)
