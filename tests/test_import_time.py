from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"requests", "docker", "pyroute2", "asyncio"}


def imported(*arguments: str, directory: Path | None = None) -> set[str]:
    """Return the modules that a call of Python imports, with all that they are part of."""
    command = [sys.executable, "-X", "importtime", *arguments]
    ended = subprocess.run(command, capture_output=True, check=True, text=True, cwd=directory)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines[1:]}


def test_the_version_is_told_without_anything_heavy() -> None:
    modules = imported("-m", "hsup", "--version")
    assert "hsup.cli.commands" in modules
    assert modules.isdisjoint(HEAVY)
    assert modules.isdisjoint({"pluggy", "hsup.plugins.manager", "importlib.metadata"})


def test_a_command_is_run_without_anything_heavy(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("worker: true\n")
    (tmp_path / ".env").write_text("NAME=value\n")
    modules = imported("-m", "hsup", "run", "--", "true", directory=tmp_path)
    assert {"hsup.cli.components", "hsup.plugins.manager"} <= modules
    assert modules.isdisjoint(HEAVY)
    assert modules.isdisjoint(
        {
            "hsup.supervision.supervisor",
            "hsup.foreground",
            "hsup.copying",
            "hsup.drains",
            "hsup.log_drain",
            "logging",
            "importlib.metadata",
            "dotenv",
        }
    )
    assert modules.isdisjoint({"click", "dataclasses"})


def test_a_start_has_nothing_that_measures_dynos_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("worker: true\n")
    measuring = {
        "hsup.output.metrics",
        "hsup.supervision.load",
        "hsup.supervision.runtime_metrics",
        "hsup_driver_simple.measuring",
    }
    start = ("-m", "hsup", "start", "--oneshot")
    assert measuring.isdisjoint(imported(*start, directory=tmp_path))
    asked_for = imported(*start, "--runtime-metrics", directory=tmp_path)
    assert "hsup.supervision.runtime_metrics" in asked_for


def test_dynos_are_started_without_dataclasses_which_take_long() -> None:
    modules = imported("-c", "import hsup.cli.main, hsup.cli.starting")
    assert "hsup.supervision.supervisor" in modules
    assert modules.isdisjoint({"click", "dataclasses"})


@pytest.mark.parametrize(
    "words",
    [("run", "--", "true"), ("start", "--oneshot"), ("build",), ("check",), ("start", "--help")],
)
def test_a_plugin_that_is_not_used_costs_its_hooks_only(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (tmp_path / "Procfile").write_text("worker: true\n")
    modules = imported("-m", "hsup", *words, directory=tmp_path)
    of_plugins = {
        one for one in modules if one.startswith(("hsup_driver", "hsup_log", "hsup_source"))
    }
    used = ("hsup_driver_simple", "hsup_source_procfile")
    others = {one for one in of_plugins if not one.startswith(used)}
    assert {one for one in others if "." in one} <= {
        f"{one.partition('.')[0]}.hooks" for one in others
    }
    assert "msgspec" not in modules


@pytest.mark.parametrize(
    "module", ["hsup", "hsup.model", "hsup.api", "hsup.errors", "hsup.foreground", "hsup.slugs"]
)
def test_what_plugins_import_is_light(module: str) -> None:
    assert imported("-c", f"import {module}").isdisjoint({*HEAVY, "click", "pluggy", "dataclasses"})


def test_files_are_compared_without_what_watches_them() -> None:
    modules = imported("-c", "import hsup_source_procfile.changes")
    assert "hsup.signatures" in modules
    assert modules.isdisjoint({"asyncinotify", "hsup.watch"})
