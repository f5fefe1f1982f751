"""Print a line every few seconds, as a process would that works through a queue."""

from __future__ import annotations

import os
import signal
import threading
from itertools import count

DYNO = os.environ.get("DYNO", "no dyno")
SECONDS = float(os.environ.get("WORKER_SECONDS", "5"))


def main() -> None:
    """Work until told to stop."""
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    print(f"{DYNO} starts working")
    for job in count(1):
        if stopping.wait(SECONDS):
            break
        print(f"{DYNO} did job {job}")
    print(f"{DYNO} stops after its last job")


if __name__ == "__main__":
    main()
