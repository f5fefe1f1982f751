from __future__ import annotations

import subprocess
import sys


def test_what_run_imports_makes_no_dataclasses_which_take_long() -> None:
    modules = "driver", "foreground"
    program = "; ".join(f"import hsup_driver_libcontainer.{one}" for one in modules)
    command = [sys.executable, "-c", f"{program}; import sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    imported = set(done.stdout.split())
    assert imported.isdisjoint({"dataclasses", "asyncio", "logging", "requests", "hashlib"})
