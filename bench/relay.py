"""Compare how fast supervisors pass on 100-byte lines of one child, none of them lost."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import measure
from measure import HSUP, Reach, Sample

LINE = b"the quick brown fox jumps over the lazy dog, and so on to ninety-nine bytes " * 2
LINE = LINE[:98] + b"$\n"

#: For each side about three seconds' worth.
HSUP_LINES = 4_000_000
SUPERVISORD_LINES = 1_200_000
HONCHO_LINES = 150_000

#: supervisord does not end with its child: after so long without a line, the rest is lost.
SILENCE_SECONDS = 5.0
READ_BYTES = 1 << 20

#: Writes a megabyte at a time, so that the child costs next to nothing.
PRODUCER = """\
import os
block = memoryview({line!r} * 10_000)
remaining = {lines} * {length}
while remaining:
    remaining -= os.write(1, block[:remaining])
"""

#: It writes to the pipe itself what it reads, without a prefix and without rotation.
SUPERVISORD = """\
[supervisord]
nodaemon=true
silent=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
[program:w]
command={command}
startsecs=0
autorestart=false
stdout_logfile=/dev/stdout
stdout_logfile_maxbytes=0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What came out of a supervisor: whole lines, and the time from the first to the last."""

    lines: int
    seconds: float
