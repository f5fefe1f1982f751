"""Other processes that run a part of a test."""

from __future__ import annotations

import os
from collections.abc import Callable


def forked(body: Callable[[], object]) -> int:
    """Run a body in a child; return its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        finally:
            os._exit(code)
    return pid
