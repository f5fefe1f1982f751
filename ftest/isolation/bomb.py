"""Be a fork bomb that nobody within the container can end; say when it has gone off."""

from __future__ import annotations

import os
import signal
import sys

from limits import MOST_PROCESSES, limit_of


def main() -> None:
    """Fork without end, in sessions of their own, deaf to who asks for an end."""
    limit = limit_of("pids/pids.max", "pids.max")
    if limit is None or limit > MOST_PROCESSES:
        sys.exit(f"there is no limit of processes ({limit})")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("gone off", flush=True)
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            continue


main()
