"""Start the command line with as little delay as Python allows."""

from __future__ import annotations

import gc
import signal


def main() -> None:
    """Run hsup, and exit with its status."""
    # Nothing that is imported becomes garbage; looking for it takes a tenth of
    # the time of a whole `hsup run` (bench/run.py).
    gc.disable()
    # Until `start` can stop in order, ^C ends hsup as it ends any program; and
    # where SIGCHLD is ignored, nobody is told how a child ended (man 2 waitpid).
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    from hsup.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
