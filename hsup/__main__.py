"""Start the command line with as little delay as Python allows."""

from __future__ import annotations

import gc
import os
import signal
import sys


def main() -> None:
    """Run hsup, and exit with its status."""
    if sys.getfilesystemencoding() != "utf-8" and sys.executable:
        # Releases are in UTF-8, and so are their dynos' variables, whatever the locale here.
        os.execv(sys.executable, [sys.orig_argv[0], "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606
    # Nothing that is imported becomes garbage; looking for it takes a tenth of
    # the time of a whole `hsup run` (bench/run.py).
    gc.disable()
    # Until `start` can stop in order, ^C ends hsup as it ends any program; and
    # where SIGCHLD is ignored, nobody is told how a child ended (man 2 waitpid).
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # What the caller has blocked would never arrive, and be blocked for dynos too.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if os.getpid() == 1:
        from hsup.cli.process_one import fork_below

        fork_below()
    _open_standard_streams()
    from hsup.cli.main import main as run_command_line

    try:
        run_command_line()
    finally:
        # The interpreter's own end looks for garbage again, more than once: 5 ms.
        gc.freeze()


def _open_standard_streams() -> None:
    """Put /dev/null where a stream is closed, before anything else gets its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(descriptor, True)  # noqa: FBT003 - os takes it by place only


if __name__ == "__main__":
    main()
