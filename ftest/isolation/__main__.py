"""Make attempts: `python3 DIRECTORY FACTS [TITLE]...`, where FACTS is JSON.

Without titles, those are made that cannot end the container. Every ending is
printed as a line of JSON: the title, `refused`, `allowed` or `inapplicable`,
and what was seen. `python3 DIRECTORY` prints the titles of the others, as JSON.
"""

from __future__ import annotations

import json
import os
import sys

OPEN_AT_START = os.listdir("/proc/self/fd")  # before anything else opens one

import calls  # noqa: E402, F401
import files  # noqa: E402, F401
import limits  # noqa: E402, F401
import network  # noqa: E402, F401
import processes  # noqa: E402
from attempt import ATTEMPTS, Facts, make  # noqa: E402


def main() -> None:
    """Make the attempts that the command line names."""
    if len(sys.argv) == 1:
        print(json.dumps([one.title for one in ATTEMPTS.values() if one.is_alone]))
        return
    processes.OPEN_AT_START.extend(OPEN_AT_START)
    facts = Facts(**json.loads(sys.argv[1]))
    titles = sys.argv[2:] or [one.title for one in ATTEMPTS.values() if not one.is_alone]
    for title in titles:
        print(json.dumps(make(ATTEMPTS[title], facts)), flush=True)


main()
