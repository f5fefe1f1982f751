from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SEALED = """
import sys
sys.path.insert(0, sys.argv[1])
from hsup_driver_libcontainer.child import child_setup
child_setup.seal()
try:
    import planted
except ImportError:
    print("not found")
raise TypeError("shown by nobody")
"""


def test_a_sealed_process_imports_nothing_and_shows_no_traceback(tmp_path: Path) -> None:
    """Python would look for both in files that belong to the dyno by then."""
    (tmp_path / "planted.py").write_text("print('imported')")
    line = [sys.executable, "-c", SEALED, str(tmp_path)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("not found\n", "", 1)
